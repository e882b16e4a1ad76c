"""What etcd knows about one service: its route, its announced instances, its ledger.

The layout below /services is read by the routers, too; nobody else reads the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from clients.errors import ClusterError
from clients.etcd import Etcd, KeyNotFound, Node
from clients.printable import printable, printable_line
from contract.keys import BARRIER_TTL, NOTE_TTL, SERVICES
from contract.ledger import LedgerEntry

LEDGER_LENGTH = 12


@dataclass(kw_only=True, frozen=True)
class Announced:
    """An instance that its sidekick found healthy."""

    address: str
    node: str
    index: int  # a router that has applied this index serves the instance


@dataclass(kw_only=True, frozen=True)
class FailureNote:
    """What an instance's sidekick saw when its health check failed."""

    node: str
    reason: str
    log: str


@dataclass(kw_only=True, frozen=True)
class ServiceRecord:
    """All of /services/<name> at one moment. Instances and failures by `<release>-<n>`."""

    exists: bool = False
    route: str | None = None
    current: str | None = None
    instances: Mapping[str, Announced] = field(default_factory=dict)
    failures: Mapping[str, FailureNote] = field(default_factory=dict)
    ledger: Mapping[str, LedgerEntry] = field(default_factory=dict)


class ServiceKeys:
    """Reads and writes the keys of one service."""

    def __init__(self, etcd: Etcd, name: str) -> None:
        self._etcd = etcd
        self._base = f"{SERVICES}/{name}"

    def read(self) -> ServiceRecord:
        """Everything, in one read."""
        found = self._etcd.find(self._base, recursive=True)
        return ServiceRecord() if found is None else parse(found.node)

    def make_directories(self) -> None:
        """confd fails on a missing directory, so they are there from the start."""
        found = self._etcd.find(self._base)
        if found is not None and found.node.ttl is not None:
            self.delete_all()  # a note, which would take the service with it when it ends
        for part in ("", "/instances", "/releases"):
            self._etcd.make_directory(self._base + part)

    def write_route(self, route: str) -> int:
        """Returns the index that a router must reach to have it."""
        return self._etcd.set(f"{self._base}/route", route).node.created_index

    def delete_route(self) -> None:
        self._delete("/route")

    def write_current(self, release: str) -> None:
        self._etcd.set(f"{self._base}/current", release)

    def write_ledger(self, entry: LedgerEntry) -> None:
        text = json.dumps(asdict(entry), sort_keys=True)
        self._etcd.set(f"{self._base}/releases/{entry.release}", text)

    def leave_a_note(self, failed: LedgerEntry) -> None:
        """Say for a day why a service never came up. Nothing else of it is there."""
        self._etcd.make_directory(self._base, ttl=NOTE_TTL)
        self.write_ledger(failed)

    def delete_ledger(self, release: str) -> None:
        self._delete(f"/releases/{release}")

    def delete_all(self) -> None:
        self._delete("")

    def touch(self) -> int:
        """An index that comes after every change so far. A router that reaches it has seen them
        all. It must be a key below /services, or the routers would not be woken."""
        return self._etcd.set(f"{self._base}/barrier", "1", ttl=BARRIER_TTL).node.created_index

    def _delete(self, part: str) -> None:
        try:
            self._etcd.delete(self._base + part, recursive=True)
        except KeyNotFound:
            return


def parse(node: Node) -> ServiceRecord:
    """The record in the directory of one service."""
    children = {child.name: child for child in node.nodes}

    def below(name: str) -> Mapping[str, Node]:
        parent = children.get(name)
        return {child.name: child for child in parent.nodes} if parent else {}

    route, current = children.get("route"), children.get("current")
    return ServiceRecord(
        exists=True,
        route=route.value if route else None,
        current=current.value if current else None,
        instances={name: _announced(child) for name, child in below("instances").items()},
        failures={name: _failure(child) for name, child in below("failures").items()},
        ledger={name: _entry(child) for name, child in below("releases").items()},
    )


def _announced(node: Node) -> Announced:
    raw = _object(node)
    addresses = [raw.get("http")]
    for protocol in ("tcp", "udp"):
        addresses += [f"{address}/{protocol}" for address in (raw.get(protocol) or {}).values()]
    return Announced(
        address=" ".join(str(address) for address in addresses if address),
        node=str(raw.get("node", "")),
        index=node.created_index,
    )


def _failure(node: Node) -> FailureNote:
    raw = _object(node)
    return FailureNote(
        node=str(raw.get("node", "")),
        # both hold what the application said
        reason=printable_line(str(raw.get("reason", ""))),
        log=printable(str(raw.get("log", ""))),
    )


def _entry(node: Node) -> LedgerEntry:
    try:
        return LedgerEntry(**_object(node))
    except TypeError as error:
        raise ClusterError(f"{node.key} in etcd can't be understood: {error}") from error


def _object(node: Node) -> dict[str, Any]:
    try:
        raw = json.loads(node.value)
    except ValueError as error:
        raise ClusterError(f"{node.key} in etcd is not JSON: {node.value[:80]!r}") from error
    if not isinstance(raw, dict):
        raise ClusterError(f"{node.key} in etcd is no JSON object: {node.value[:80]!r}")
    return raw
