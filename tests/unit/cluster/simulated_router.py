"""A router in memory: it follows etcd with a lag. The real router's rules decide where it sends
clients, also after an outage of etcd."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from clients.etcd import Node
from router.node_starts import NodeStart, Observation
from router.route_table import RouteTable, make_route_table
from tests.unit.cluster.simulated_etcd import SimulatedEtcd

PATIENCE = 20.0  # seconds for which instances are kept after an outage of etcd


@dataclass
class SimulatedRouter:
    """The router of one node."""

    node: str
    loaded: RouteTable = field(default_factory=RouteTable)  # what nginx has
    _read: RouteTable = field(default_factory=RouteTable)
    _read_at: float = -10.0
    _index: int = 0
    _etcd_failed_at: float = float("-inf")

    @property
    def addresses(self) -> dict[str, str]:
        """Where it sends clients, by instance key."""
        return {key: one.instance.http or "" for key, one in self.loaded.usable.items()}

    def run(
        self,
        etcd: SimulatedEtcd,
        now: float,
        *,
        lag: float,
        error: str | None,
        left_out: Sequence[tuple[str, str]],
        life: Mapping[str, str],
    ) -> dict[str, object] | None:
        """One tick. Returns what it reports, if it does so now."""
        if etcd.is_away:
            self._etcd_failed_at = now
            return None
        if now - self._read_at < lag:
            return None
        index = self._index
        if error is None:
            # it has loaded now what it read at its last heartbeat
            self.loaded = self._read
            self._read_at, self._index = now, etcd.index
            is_patient = now - self._etcd_failed_at < PATIENCE
            self._read = make_route_table(
                _services(etcd, now),
                {},
                reports=_reports(etcd),
                before=self.loaded if is_patient else None,
                asked=now,
                answered=now,
            )
        problems = [{"key": key, "reason": reason} for key, reason in left_out]
        report = {"node": self.node, "applied": index, "error": error, "problems": problems}
        return {**report, "kept": self.loaded.kept, **life}


def _services(etcd: SimulatedEtcd, now: float) -> Node:
    """Routes and instances below /services."""
    parts: dict[str, tuple[list[Node], list[Node]]] = {}
    for key, entry in etcd.entries.items():
        match key.split("/"):
            case ["", "services", name, "route"] if entry.value is not None:
                routes, _ = parts.setdefault(name, ([], []))
                routes.append(_leaf(etcd, key, now))
            case ["", "services", name, "instances", _]:
                _, instances = parts.setdefault(name, ([], []))
                instances.append(_leaf(etcd, key, now))
    return _directory(
        "/services",
        *(
            _directory(
                f"/services/{name}",
                *routes,
                _directory(f"/services/{name}/instances", *instances),
            )
            for name, (routes, instances) in parts.items()
        ),
    )


def _directory(key: str, *nodes: Node) -> Node:
    return Node(key=key, is_directory=True, nodes=nodes)


def _leaf(etcd: SimulatedEtcd, key: str, now: float) -> Node:
    entry = etcd.entries[key]
    return Node(
        key=key,
        value=entry.value or "",
        created_index=entry.created,
        modified_index=entry.modified,
        ttl=None if entry.expires is None else max(1, round(entry.expires - now)),
    )


def _reports(etcd: SimulatedEtcd) -> Iterator[Observation]:
    for key, entry in etcd.entries.items():
        if key.startswith("/routers/") and entry.value is not None:
            report = json.loads(entry.value)
            life = NodeStart(boot=report["boot"], docker=report["docker"])
            yield Observation(node=report["node"], start=life, heard=entry.modified, is_report=True)
