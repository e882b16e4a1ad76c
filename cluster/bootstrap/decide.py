"""Decides what a node without etcd data must do next, from its observations. Pure: no clock, no
network.

Every rule is here (docs/architecture.md, "Failure modes of a bootstrap", has the table). A wrong
join splits or stops the cluster, so a node waits in every unclear situation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clients.etcd.members import Member, Members
from cluster.bootstrap.record import Record

# fleet's agent_ttl on nodes: fleet counts a node as alive until it has been silent that long.
DEAD_AFTER = 120.0
# How long an added member may take to start for the first time.
JOIN_PATIENCE = 300.0
# v2 TTLs are absolute times: routing keys live 15 s.
MAX_CLOCK_SKEW = 5.0


@dataclass(kw_only=True, frozen=True)
class ThisNode:
    """This node."""

    name: str
    address: str
    size: int  # members that the cluster should have, by this node's settings


@dataclass(kw_only=True, frozen=True)
class Observation:
    """What this node sees. `silent`: the seconds for which each member (by id) has not answered."""

    record: Record | None
    members: Members | None  # None: not asked, or no member of the record sees a quorum
    silent: Mapping[str, float]
    alive_in_fleet: frozenset[str] = frozenset()  # addresses with a heartbeat of fleet in etcd
    clock_skew: float = 0.0
    registered_now: bool = False  # this very run registered: this node has never started etcd
    listed: tuple[Member, ...] = ()  # without a quorum: the members by one that answers


@dataclass(kw_only=True, frozen=True)
class Wait:
    """Look again later."""

    reason: str


@dataclass(kw_only=True, frozen=True)
class Refuse:
    """Look again later, although only an operator can change the situation."""

    reason: str


@dataclass(kw_only=True, frozen=True)
class CreateRecord:
    """There is no record yet: create it."""


@dataclass(kw_only=True, frozen=True)
class Register:
    """Add this node to the first members in the record."""


@dataclass(kw_only=True, frozen=True)
class StartNew:
    """Start as one of the first members."""

    members: Mapping[str, str]


@dataclass(kw_only=True, frozen=True)
class Join:
    """Remove `instead_of`, add this node, start into the existing cluster.

    `instead_of` holds at most one member that was another node.
    """

    members: Members
    instead_of: tuple[Member, ...] = ()


@dataclass(kw_only=True, frozen=True)
class StartAdded:
    """Start as the member that an earlier attempt has added."""

    members: Mapping[str, str]


Decision = Wait | Refuse | CreateRecord | Register | StartNew | Join | StartAdded


def must_ask_members(record: Record, *, registered_now: bool) -> bool:
    """Whether to ask the members themselves. Not while the first ones register: none of them starts
    before the list is full, and then the others rely on this node's first start. (Asking would
    take long: an etcd without a quorum answers slowly.)"""
    return record.formed or (record.is_full and not registered_now)


def decide(node: ThisNode, seen: Observation) -> Decision:
    """The next action of a node that has no etcd data."""
    if not node.address:
        raise ValueError("a node without an address can't take part")
    if abs(seen.clock_skew) > MAX_CLOCK_SKEW:
        return Wait(reason=f"this node's clock is {seen.clock_skew:+.0f} s off: waiting for NTP")
    if seen.record is None:
        return CreateRecord()
    if not must_ask_members(seen.record, registered_now=seen.registered_now):
        return _form(node, seen.record)
    if seen.members is not None:
        return _enter(node, seen, seen.members)
    if seen.record.formed:
        if (only := _only_member_waiting_for(node, seen.listed)) is not None:
            return StartAdded(members={only.name: only.address, node.name: node.address})
        return Refuse(
            reason=(
                "the cluster was formed, but no quorum of its members answers "
                f"({_list(seen.record.members)}). Bring one of them back with its data, or see "
                "docs/operations.md#etcd-has-lost-its-quorum. This node joins as soon as a quorum "
                "answers"
            )
        )
    return _form(node, seen.record)


def _only_member_waiting_for(node: ThisNode, listed: tuple[Member, ...]) -> Member | None:
    """A second member that is added and not started takes the quorum from the first. If it fails
    to start, only its own start helps. (With more members, adding one keeps the quorum.)"""
    if len(listed) != 2:
        return None
    own = [one for one in listed if one.address == node.address and not one.has_started]
    other = [one for one in listed if one.address != node.address and one.has_started]
    return other[0] if own and other else None


def _form(node: ThisNode, record: Record) -> Decision:
    """etcd holds nothing of value yet: every first member may start from nothing."""
    known = record.members.get(node.name)
    if record.is_full:
        if known == node.address:
            return StartNew(members=record.members)
        return Wait(
            reason=(
                f"the first members are {_list(record.members)} and this node is not among them: "
                "waiting until they have formed the cluster. If they never can, delete the blob "
                "members.json in the container `cluster`: nothing is lost before it has formed"
            )
        )
    if known != node.address:
        return Register()
    return Wait(
        reason=f"waiting for the first members: {len(record.members)} of {record.size} are here"
    )


def _enter(node: ThisNode, seen: Observation, members: Members) -> Decision:
    """A quorum answers: join it, at most one change of the members at a time."""
    # A member with this node's name or address, but whose data is gone, can't come back.
    former = [m for m in members.members if m.name == node.name or m.address == node.address]
    others = [m for m in members.members if m not in former]
    if len([m for m in others if m.is_healthy]) < members.quorum:
        return Wait(
            reason="too few members answer to change the cluster: "
            + _states(others)
            + f"; {members.quorum} of {len(members.members)} must"
        )
    if former:
        return Join(members=members, instead_of=tuple(former))
    if len(members.members) < node.size:
        unhealthy = [m for m in others if not m.is_healthy]
        if not unhealthy:
            return Join(members=members)
        # etcd refuses to grow while a member does not answer, for good reason
        lost = _first_dead(unhealthy, seen)
        if lost is not None:
            return Join(members=members, instead_of=(lost,))
        return Wait(reason=f"waiting for {_states(unhealthy)} before this node joins")
    lost = _first_dead(others, seen)
    if lost is not None:
        return Join(members=members, instead_of=(lost,))
    unhealthy = [m for m in others if not m.is_healthy]
    if unhealthy:
        return Wait(reason=f"waiting to see whether {_names(unhealthy)} comes back")
    return Wait(
        reason=(
            f"all {len(others)} members are healthy and the cluster should have {node.size}: "
            "this node joins when one of them is gone"
        )
    )


def _first_dead(members: list[Member], seen: Observation) -> Member | None:
    """A member that has been silent for long, for this node and (by the quorum) for fleet."""
    for member in members:
        if member.is_healthy or member.address in seen.alive_in_fleet:
            continue
        patience = DEAD_AFTER if member.has_started else JOIN_PATIENCE
        if seen.silent.get(member.id, 0.0) >= patience:
            return member
    return None


def _states(members: list[Member]) -> str:
    return ", ".join(
        f"{member} {'is healthy' if member.is_healthy else 'does not answer'}" for member in members
    )


def _names(members: list[Member]) -> str:
    return ", ".join(str(member) for member in members)


def _list(members: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({address})" for name, address in sorted(members.items()))
