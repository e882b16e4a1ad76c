"""What a node without etcd data must do next, from what it sees. Pure: no clock, no network.

The rules in one place (the table "Failure modes of a bootstrap" of docs/architecture.md):
a wrong join splits or stops the cluster, so whatever is unclear is a reason to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clients.etcd.members import Member, Members
from cluster.bootstrap.record import Record

# fleet's agent_ttl on our nodes: as long as a machine may be silent and still count as alive.
DEAD_AFTER = 120.0
# How long an added member may take to start for the first time.
JOIN_PATIENCE = 300.0
# v2 TTLs are absolute times: routing keys live 15 s.
MAX_CLOCK_SKEW = 5.0


@dataclass(kw_only=True, frozen=True)
class Me:
    """This node."""

    name: str
    address: str
    size: int  # members that the cluster shall have, as this node was told


@dataclass(kw_only=True, frozen=True)
class Sight:
    """What this node sees. `silent` tells for how long each member (by id) has not answered."""

    record: Record | None
    members: Members | None  # None: nobody that the record names sees a quorum, or was asked
    silent: Mapping[str, float]
    alive_in_fleet: frozenset[str] = frozenset()  # addresses that beat in fleet, as etcd says
    clock_skew: float = 0.0
    registered_now: bool = False  # this very run registered: this node has never started etcd
    listed: tuple[Member, ...] = ()  # without a quorum: whom one that answers has as members


@dataclass(kw_only=True, frozen=True)
class Wait:
    """Look again later."""

    reason: str


@dataclass(kw_only=True, frozen=True)
class Refuse:
    """Look again later, too, but only an operator can change what is seen."""

    reason: str


@dataclass(kw_only=True, frozen=True)
class CreateRecord:
    """Nobody has been here before: begin the record."""


@dataclass(kw_only=True, frozen=True)
class Register:
    """Put this node among the first members."""


@dataclass(kw_only=True, frozen=True)
class StartNew:
    """Start as one of the first members."""

    members: Mapping[str, str]


@dataclass(kw_only=True, frozen=True)
class Join:
    """Remove `instead_of`, add this node, start into the existing cluster.

    `instead_of` holds at most one member that was somebody else.
    """

    members: Members
    instead_of: tuple[Member, ...] = ()


@dataclass(kw_only=True, frozen=True)
class StartAdded:
    """Start as the member that an earlier attempt has added."""

    members: Mapping[str, str]


Decision = Wait | Refuse | CreateRecord | Register | StartNew | Join | StartAdded


def must_ask_members(record: Record, *, registered_now: bool) -> bool:
    """Whether the members' own word is needed. Not while the first ones gather: before the list is
    full none has started, and those that this node registered with count on its first start. (To
    ask would take long: an etcd without a quorum is slow to say so.)"""
    return record.formed or (record.is_full and not registered_now)


def decide(me: Me, sight: Sight) -> Decision:
    """The next action of a node that has no etcd data."""
    if not me.address:
        raise ValueError("a node without an address can't take part")
    if abs(sight.clock_skew) > MAX_CLOCK_SKEW:
        return Wait(reason=f"this node's clock is {sight.clock_skew:+.0f} s off: waiting for NTP")
    if sight.record is None:
        return CreateRecord()
    if not must_ask_members(sight.record, registered_now=sight.registered_now):
        return _form(me, sight.record)
    if sight.members is not None:
        return _enter(me, sight, sight.members)
    if sight.record.formed:
        if (only := _only_member_waiting_for(me, sight.listed)) is not None:
            return StartAdded(members={only.name: only.address, me.name: me.address})
        return Refuse(
            reason=(
                "the cluster was formed, but no quorum of its members answers "
                f"({_list(sight.record.members)}). Bring one of them back with its data, or see"
                " docs/operations.md, quorum lost. This node joins as soon as a quorum answers"
            )
        )
    return _form(me, sight.record)


def _only_member_waiting_for(me: Me, listed: tuple[Member, ...]) -> Member | None:
    """Adding a second member takes the quorum from the first until the second has started. If it
    failed to, nobody else can help. (With more members, one that is added takes no quorum away.)"""
    if len(listed) != 2:
        return None
    mine = [one for one in listed if one.address == me.address and not one.has_started]
    other = [one for one in listed if one.address != me.address and one.has_started]
    return other[0] if mine and other else None


def _form(me: Me, record: Record) -> Decision:
    """etcd holds nothing of value yet: every first member may start from nothing."""
    known = record.members.get(me.name)
    if record.is_full:
        if known == me.address:
            return StartNew(members=record.members)
        return Wait(
            reason=(
                f"the first members are {_list(record.members)} and this node is not among them: "
                "waiting until they have formed the cluster. If they never can, delete the blob "
                "members.json in the container `cluster`: nothing is lost before it has formed"
            )
        )
    if known != me.address:
        return Register()
    return Wait(
        reason=f"waiting for the first members: {len(record.members)} of {record.size} are here"
    )


def _enter(me: Me, sight: Sight, members: Members) -> Decision:
    """A quorum answers: join it, at most one change of the members at a time."""
    # The same name or address without data is this node's former life. It can't come back.
    former = [m for m in members.members if m.name == me.name or m.address == me.address]
    others = [m for m in members.members if m not in former]
    if len([m for m in others if m.is_healthy]) < members.quorum:
        return Wait(
            reason="too few members answer to change the cluster: "
            + _states(others)
            + f"; {members.quorum} of {len(members.members)} must"
        )
    if former:
        return Join(members=members, instead_of=tuple(former))
    if len(members.members) < me.size:
        ailing = [m for m in others if not m.is_healthy]
        if not ailing:
            return Join(members=members)
        # etcd refuses to grow while a member is away, and it is right
        lost = _first_dead(ailing, sight)
        if lost is not None:
            return Join(members=members, instead_of=(lost,))
        return Wait(reason=f"waiting for {_states(ailing)} before this node joins")
    lost = _first_dead(others, sight)
    if lost is not None:
        return Join(members=members, instead_of=(lost,))
    ailing = [m for m in others if not m.is_healthy]
    if ailing:
        return Wait(reason=f"waiting to see whether {_names(ailing)} comes back")
    return Wait(
        reason=(
            f"all {len(others)} members are well and the cluster shall have {me.size}: "
            "this node joins when one of them is gone"
        )
    )


def _first_dead(members: list[Member], sight: Sight) -> Member | None:
    """A member that was silent for long, here and (as the quorum knows) in fleet."""
    for member in members:
        if member.is_healthy or member.address in sight.alive_in_fleet:
            continue
        patience = DEAD_AFTER if member.has_started else JOIN_PATIENCE
        if sight.silent.get(member.id, 0.0) >= patience:
            return member
    return None


def _states(members: list[Member]) -> str:
    return ", ".join(
        f"{member} {'is well' if member.is_healthy else 'does not answer'}" for member in members
    )


def _names(members: list[Member]) -> str:
    return ", ".join(str(member) for member in members)


def _list(members: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({address})" for name, address in sorted(members.items()))
