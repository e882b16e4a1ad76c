"""Reads and writes what etcd knows about one service: its route, instances and ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from clients.errors import ClusterError
from clients.etcd import Etcd, KeyNotFound, Node
from clients.printable import printable, printable_line
from contract.codec import Malformed, decode, encode
from contract.failure import FailureNote
from contract.instance import Instance
from contract.keys import (
    BARRIER_TTL,
    NOTE_TTL,
    barrier_key,
    current_key,
    instances_key,
    ledger_entry_key,
    ledger_key,
    route_key,
    service_key,
)
from contract.ledger import LedgerEntry

LEDGER_LENGTH = 12

T = TypeVar("T")


@dataclass(kw_only=True, frozen=True)
class Announced:
    """An instance that its sidekick found healthy."""

    instance: Instance
    index: int  # a router that has applied this index serves the instance

    @property
    def node(self) -> str:
        return self.instance.node

    @property
    def address(self) -> str:
        """Every `ip:port` of it, for people."""
        addresses = [self.instance.http] if self.instance.http else []
        for protocol, others in (("tcp", self.instance.tcp), ("udp", self.instance.udp)):
            addresses += [f"{address}/{protocol}" for address in others.values()]
        return " ".join(addresses)


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
    """The keys of one service."""

    def __init__(self, etcd: Etcd, name: str) -> None:
        self._etcd = etcd
        self._name = name

    def read(self) -> ServiceRecord:
        """Everything, in one read."""
        found = self._etcd.find(service_key(self._name), recursive=True)
        return ServiceRecord() if found is None else parse(found.node)

    def make_directories(self) -> None:
        """Routers read them from the start."""
        found = self._etcd.find(service_key(self._name))
        if found is not None and found.node.ttl is not None:
            self.delete_all()  # a note, which would take the service with it when it expires
        for key in (service_key, instances_key, ledger_key):
            self._etcd.make_directory(key(self._name))

    def write_route(self, route: str) -> int:
        """Returns the index that a router must reach to have it."""
        return self._etcd.set(route_key(self._name), route).node.created_index

    def delete_route(self) -> None:
        self._delete(route_key(self._name))

    def write_current(self, release: str) -> None:
        self._etcd.set(current_key(self._name), release)

    def write_ledger(self, entry: LedgerEntry) -> None:
        self._etcd.set(ledger_entry_key(self._name, entry.release), encode(entry))

    def leave_a_note(self, failed: LedgerEntry) -> None:
        """Say for a day why a service never came up. Nothing else of it is there."""
        self._etcd.make_directory(service_key(self._name), ttl=NOTE_TTL)
        self.write_ledger(failed)

    def delete_ledger(self, release: str) -> None:
        self._delete(ledger_entry_key(self._name, release))

    def delete_all(self) -> None:
        self._delete(service_key(self._name))

    def touch(self) -> int:
        """An index that comes after every change so far: a router that reaches it has seen them
        all. Only a key below /services wakes the routers."""
        answer = self._etcd.set(barrier_key(self._name), "1", ttl=BARRIER_TTL)
        return answer.node.created_index

    def _delete(self, key: str) -> None:
        try:
            self._etcd.delete(key, recursive=True)
        except KeyNotFound:
            return


def parse(node: Node) -> ServiceRecord:
    """The record in the directory of one service. Raises ClusterError."""
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
        ledger={name: _read(LedgerEntry, child) for name, child in below("releases").items()},
    )


def _announced(node: Node) -> Announced:
    return Announced(instance=_read(Instance, node), index=node.created_index)


def _failure(node: Node) -> FailureNote:
    note = _read(FailureNote, node)
    return replace(note, reason=printable_line(note.reason), log=printable(note.log))


def _read(kind: type[T], node: Node) -> T:
    try:
        return decode(kind, node.value)
    except Malformed as error:
        raise ClusterError(
            f"{node.key} in etcd can't be understood: {error} ({node.value[:80]!r})"
        ) from error
