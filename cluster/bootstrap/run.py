"""The bootstrap: look, decide, act, until this node may start etcd.

Shared state changes only under the blob's lease, after a second decision under the lease.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clients.azure.blob import Blob, BlobUnavailable, Content
from clients.clock import Clock
from clients.etcd import Etcd, EtcdError
from clients.etcd.members import Member, Members, Membership, MembershipError, client_url, peer_url
from clients.fleet.machines import alive_addresses
from clients.progress import Progress, WaitReport
from cluster.bootstrap.decide import (
    CreateRecord,
    Decision,
    Join,
    Observation,
    Refuse,
    Register,
    StartAdded,
    StartNew,
    ThisNode,
    Wait,
    decide,
    must_ask_members,
)
from cluster.bootstrap.record import Record, from_json

_PAUSE = 1.0


@dataclass(kw_only=True, frozen=True)
class Start:
    """How etcd should start."""

    members: Mapping[str, str]  # name → address
    state: str  # new or existing
    token: str


class Bootstrap:
    """One node's way into the cluster."""

    def __init__(
        self,
        node: ThisNode,
        cluster: str,
        *,
        blob: Blob,
        membership: Membership,
        etcd: Callable[[Sequence[str]], Etcd],
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._node = node
        self._cluster = cluster
        self._blob = blob
        self._nodembership = membership
        self._etcd = etcd
        self._clock = clock
        self._progress = progress
        self._silent_since: dict[str, float] = {}
        self._registered = False

    def run(self) -> Start:
        """Returns when etcd may start; reports what it waits for until then."""
        patience = WaitReport(self._clock, self._progress, quiet=0.0)
        while True:
            try:
                start = self._turn(patience)
            except (BlobUnavailable, MembershipError, EtcdError) as error:
                patience.waiting_for(f"trying again: {error}")
                start = None
            if start is not None:
                return start
            self._clock.sleep(_PAUSE)

    def _turn(self, patience: WaitReport) -> Start | None:
        _, seen = self._look()
        decision = decide(self._node, seen)
        match decision:
            case Wait(reason=reason) | Refuse(reason=reason):
                patience.waiting_for(reason)
                return None
            case StartNew(members=members):
                assert seen.record is not None
                return Start(members=members, state="new", token=seen.record.token)
            case StartAdded(members=members):
                assert seen.record is not None
                return Start(members=members, state="existing", token=seen.record.token)
            case CreateRecord() | Register() | Join():
                return self._act(decision)

    def _act(self, before: Decision) -> Start | None:
        with self._blob.lease() as lease:
            content, seen = self._look()
            decision = decide(self._node, seen)
            if type(decision) is not type(before) or content is None:
                return None  # the situation changed while this node waited for the lease
            lease.renew()
            match decision:
                case CreateRecord():
                    record = Record(
                        cluster=self._cluster,
                        token=f"{self._cluster}-{secrets.token_hex(4)}",
                        size=self._node.size,
                        members={self._node.name: self._node.address},
                    )
                    lease.write(record.to_json(), content.etag)
                    self._registered = True
                    self._progress(
                        f"began the record of the cluster's members as {self._node.name}"
                    )
                case Register():
                    assert seen.record is not None
                    record = seen.record.with_member(self._node.name, self._node.address)
                    lease.write(record.to_json(), content.etag)
                    self._registered = True
                    self._progress(f"registered as one of the first {record.size} members")
                case Join():
                    assert seen.record is not None
                    members = self._members_with_this_node(decision)
                    record = replace(seen.record, formed=True, members=members)
                    lease.write(record.to_json(), content.etag)
                    # last: a member that was added must start even if anything else fails
                    self._join(decision)
                    return Start(members=members, state="existing", token=record.token)
        return None

    def _members_with_this_node(self, decision: Join) -> Mapping[str, str]:
        staying = [m for m in decision.members.members if m not in decision.instead_of]
        listed = {m.name or f"unstarted-{m.id}": m.address for m in staying}
        return {**listed, self._node.name: self._node.address}

    def _join(self, decision: Join) -> None:
        members = decision.members
        through = next(m.address for m in members.healthy if m not in decision.instead_of)
        for lost in decision.instead_of:
            self._progress(f"removing {lost} from the cluster: its data is lost")
            self._nodembership.remove(through, lost)
        self._progress(f"adding {self._node.name} ({self._node.address}) to the cluster")
        self._nodembership.add(through, self._node.address)

    def _look(self) -> tuple[Content | None, Observation]:
        content = self._blob.read()
        record = from_json(content.text) if content is not None else None
        members = None
        listed: tuple[Member, ...] = ()
        if record is not None and must_ask_members(record, registered_now=self._registered):
            others = [a for a in record.members.values() if a != self._node.address]
            members = self._nodembership.survey(others)
            if members is None:
                answers = map(self._nodembership.listed, others)
                listed = next(filter(None, answers), ())
        return content, Observation(
            record=record,
            members=members,
            silent=self._silence(members),
            alive_in_fleet=self._alive(members),
            clock_skew=self._blob.clock_skew,
            registered_now=self._registered,
            listed=listed,
        )

    def _alive(self, members: Members | None) -> frozenset[str]:
        if members is None:
            return frozenset()
        with self._etcd([client_url(member.address) for member in members.healthy]) as etcd:
            return alive_addresses(etcd)

    def _silence(self, members: Members | None) -> Mapping[str, float]:
        """The seconds of each member's silence. Without a quorum nothing is known about
        single members, so the count starts again."""
        now = self._clock.now()
        silent = [m.id for m in members.members if not m.is_healthy] if members else []
        self._silent_since = {id_: self._silent_since.get(id_, now) for id_ in silent}
        return {id_: now - since for id_, since in self._silent_since.items()}


def environment_file(start: Start) -> str:
    """The lines that etcd-prepare adds to the node's name and addresses."""
    members = sorted(start.members.items())
    values = {
        "ETCD_INITIAL_CLUSTER": ",".join(
            f"{name}={peer_url(address)}" for name, address in members
        ),
        "ETCD_INITIAL_CLUSTER_STATE": start.state,
        "ETCD_INITIAL_CLUSTER_TOKEN": start.token,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def write_environment(path: Path, text: str) -> None:
    """Write the file atomically: a reader never sees half of it."""
    staged = path.with_suffix(".new")
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)
