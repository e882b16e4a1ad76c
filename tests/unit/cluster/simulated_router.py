"""A router in memory: it follows etcd with a lag, and keeps what it knows while etcd is away.

An address belongs to an instance. It is used while the instance's key is there and its node has not
been started anew since; a key that vanished with etcd is kept for a while, unless another claims
its address or its node has restarted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.unit.cluster.simulated_etcd import SimulatedEtcd

PATIENCE = 20.0  # seconds for which instances are kept after an outage of etcd
_TTL = 15.0


@dataclass(kw_only=True, frozen=True)
class Address:
    """An instance as its key has it."""

    http: str
    node: str
    boot: str
    docker: str

    def fits(self, report: Mapping[str, str] | None) -> bool:
        """Whether its node, by its router's report, has not restarted since. Silence is no no."""
        return report is None or (self.boot, self.docker) == (report["boot"], report["docker"])


@dataclass
class SimulatedRouter:
    """One machine's."""

    node: str
    routes: dict[str, Address] = field(default_factory=dict)  # what nginx has, by instance key
    _next: dict[str, Address] = field(default_factory=dict)
    _read_at: float = -10.0
    _index: int = 0
    _etcd_failed_at: float = float("-inf")

    def run(
        self,
        etcd: SimulatedEtcd,
        now: float,
        *,
        lag: float,
        error: str | None,
        left_out: str | None,
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
            # what it read at its last beat it has loaded now
            self.routes = self._next
            self._read_at, self._index = now, etcd.index
            self._next = self._usable(etcd, now)
        return {"node": self.node, "applied": index, "error": error or left_out, **life}

    def _usable(self, etcd: SimulatedEtcd, now: float) -> dict[str, Address]:
        reports = {}
        for key in etcd.children("/routers"):
            report = json.loads(etcd.value(key) or "{}")
            reports[report["node"]] = report
        live = {
            key: Address(**json.loads(entry.value))
            for key, entry in etcd.entries.items()
            if "/instances/" in key and entry.value is not None
        }
        usable = {
            key: one
            for key, one in live.items()
            if (report := reports.get(one.node)) is None or report["boot"] == one.boot
        }
        if now - self._etcd_failed_at < PATIENCE:
            claimed = {one.http for one in live.values()}
            for key, one in self.routes.items():
                if key not in live and one.http not in claimed and one.fits(reports.get(one.node)):
                    usable[key] = one
        return usable
