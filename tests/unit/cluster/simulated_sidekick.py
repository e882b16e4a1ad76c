"""Sidekicks in memory: each announces its instance in etcd while it is healthy, and drains it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_etcd import SimulatedEtcd
from tests.unit.cluster.simulated_fleet import Job
from tests.unit.cluster.simulated_ports import CountedPorts, Ports
from tests.unit.cluster.simulated_systemd import SimulatedSystemd

INSTANCE = re.compile(
    r"(?P<service>.+)-(?P<release>[0-9a-f]{8})(?P<announce>-announce)?@(?P<n>\d+)\.service"
)
_ROUTERS_TIMEOUT = 10.0  # for a sidekick that stops


class SimulatedSidekicks(SimulatedSystemd):
    """Nodes on which sidekicks run."""

    HEALTHY = 1.5  # seconds until an application is healthy

    def __init__(
        self,
        clock: SimulatedClock,
        etcd: SimulatedEtcd,
        *,
        machines: int,
        ports: Callable[[], Ports] = CountedPorts,
    ) -> None:
        super().__init__(clock, machines=machines, ports=ports)
        self.etcd = etcd
        self.unhealthy: set[str] = set()  # words in the names of units that never become healthy

    def life(self, machine: str) -> dict[str, str]:
        """The ids of this start of a node, and of its docker."""
        raise NotImplementedError

    def while_active(self, job: Job) -> None:
        match = INSTANCE.fullmatch(job.unit.name)
        if match is None or not match["announce"] or self.etcd.is_away:
            return
        key, app_name = instance_key(match), _app(match)
        app = self.jobs.get((app_name, job.machine))
        is_ill = any(word in app_name for word in self.unhealthy)
        if is_ill:
            note = {"node": job.machine[:4], "reason": "GET /health answered 500", "log": "boom"}
            self.etcd.put(key.replace("/instances/", "/failures/"), json.dumps(note), ttl=60)
        if app is None or not app.is_up or is_ill:
            if is_ill or self._is_time_for_a_check(job):
                self._withdraw(key, job)
        elif self.clock.now() - app.since >= self.HEALTHY:
            self._announce(key, job, app)

    def _announce(self, key: str, job: Job, app: Job) -> None:
        machine = job.machine
        address = {"http": f"{self.machines[machine]}:{app.port}", "node": machine[:4]}
        value = json.dumps(address | self.life(machine))
        if self.etcd.value(key) != value:
            self.etcd.put(key, value, ttl=15)
        elif self._is_time_for_a_check(job):
            self.etcd.refresh(key, 15)
        job.announced = value

    def _is_time_for_a_check(self, job: Job) -> bool:
        return (self.clock.now() - job.since) % 4 < SimulatedClock.TICK

    def _withdraw(self, key: str, job: Job) -> None:
        """Delete only its own key: the same instance may run on another node by now."""
        if job.announced and self.etcd.value(key) == job.announced:
            self.etcd.delete(key)
        job.announced = ""

    def has_ended(self, job: Job) -> bool:
        """A sidekick deletes its key, waits for the routers, drains, and then ends."""
        match = INSTANCE.fullmatch(job.unit.name)
        if match is None or not match["announce"] or self.etcd.is_away:
            return super().has_ended(job)
        now = self.clock.now()
        if job.announced:
            self._withdraw(instance_key(match), job)
            job.left = self.etcd.index
        app = self.jobs.get((_app(match), job.machine))
        if not job.left or app is None or not app.is_up:
            return True  # no client reaches it
        if job.drains_since is None:
            reports = [
                json.loads(self.etcd.value(key) or "")
                for key in list(self.etcd.children("/routers"))
            ]
            are_behind = any(report["applied"] < job.left for report in reports)
            if are_behind and now - job.since < _ROUTERS_TIMEOUT:
                return False
            job.drains_since = now
        return now - job.drains_since >= _drain(job)


def _drain(job: Job) -> float:
    """Seconds, by what its unit tells the announcer."""
    (start,) = job.unit.values("Service", "ExecStart")
    match = re.search(r'"drain=(\d+)"', start)
    assert match is not None, start
    return float(match[1])


def instance_key(match: re.Match[str]) -> str:
    return f"/services/{match['service']}/instances/{match['release']}-{match['n']}"


def _app(match: re.Match[str]) -> str:
    return f"{match['service']}-{match['release']}@{match['n']}.service"
