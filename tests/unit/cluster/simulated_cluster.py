"""A cluster in memory: fleet's agents, systemd, sidekicks and routers on simulated nodes.

They are as slow as the real ones, in simulated time: fleet schedules after a while, an application
needs time to become healthy, a sidekick drains when it stops, a router follows with a lag.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_etcd import SimulatedEtcd
from tests.unit.cluster.simulated_fleet import Job, Loop
from tests.unit.cluster.simulated_ports import CountedPorts, Ports
from tests.unit.cluster.simulated_router import SimulatedRouter
from tests.unit.cluster.simulated_sidekick import INSTANCE, SimulatedSidekicks, instance_key

# coreos/fleet v1.0.0, registry/job.go and registry/unit.go
JOBS, TEXTS = "/_coreos.com/fleet/job", "/_coreos.com/fleet/unit"
_SYSTEMCTL = "/usr/bin/systemctl"


@dataclass
class RouterFaults:
    """What goes wrong in routers."""

    stuck: set[str] = field(default_factory=set)  # machine ids
    left_out: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Machine id → the keys that its router can't use, with the reasons."""
    expired: set[str] = field(default_factory=set)  # certificates


class SimulatedCluster(SimulatedSidekicks):
    """Nodes that run what fleet schedules."""

    AGENT_TTL, ROUTER_START = 120.0, 8.0  # seconds

    def __init__(
        self,
        clock: SimulatedClock,
        etcd: SimulatedEtcd,
        *,
        machines: int = 3,
        ports: Callable[[], Ports] = CountedPorts,
    ) -> None:
        super().__init__(clock, etcd, machines=machines, ports=ports)
        self.router_faults = RouterFaults()
        self.router_lag = 0.5
        self.serving: list[set[str]] = []  # instances that every router serves, by tick
        self.lost_requests: list[str] = []  # sent by a router to an instance that was not up
        self.misled_requests: list[str] = []  # … to another service's container
        self.unloaded_alive: list[str] = []  # fleet unloaded the unit while it ran
        self._killed: dict[str, float] = {}
        self._boots: dict[str, int] = {}
        self._dockers: dict[str, int] = {}
        self._routers: dict[str, SimulatedRouter] = {}
        self._router_starts: dict[str, float] = {}  # on a node that has rebooted
        etcd.put("/services/.keep", "")
        etcd.delete("/services/.keep")
        for machine in self.machines:
            self._tell_fleet(machine)
        clock.listeners.append(self.tick)
        self.tick()

    def store(self, name: str, text: str) -> None:
        digest = hashlib.sha1(text.encode())
        self.etcd.put(f"{TEXTS}/{digest.hexdigest()}", json.dumps({"Raw": text}))
        job = {"Name": name, "UnitHash": list(digest.digest())}
        self.etcd.put(f"{JOBS}/{name}/object", json.dumps(job))

    def forget(self, name: str) -> None:
        self.etcd.delete(f"{JOBS}/{name}")

    @property
    def texts(self) -> list[str]:
        """The hashes of the units' texts in etcd."""
        return list(self.etcd.children(TEXTS))

    def tick(self) -> None:
        now = self.clock.now()
        for machine, when in list(self._killed.items()):
            if now - when >= self.AGENT_TTL and not self.etcd.is_away:
                self.lose_machine(machine)
        if not self.etcd.is_away:
            self.run_engine()
        for machine in self.living():
            is_due = self._agents.setdefault(machine, Loop(now, 5.0)).is_due(now)
            if is_due and not self.etcd.is_away:
                self._run_agent(machine)
        for machine in self.living():
            self.run_jobs(machine)
        self._run_routers()
        self.serving.append(self._served())

    # --- machines -----------------------------------------------------------------------------

    def living(self) -> list[str]:
        return [machine for machine in self.machines if machine not in self._killed]

    def kill_machine(self, machine: str) -> None:
        """The node is gone; fleet notices two minutes later."""
        self._killed[machine] = self.clock.now()
        self._routers.pop(machine, None)

    def boot_machine(self, machine: str) -> None:
        """A killed node starts again, with its disk and without its memory."""
        del self._killed[machine]
        self._boots[machine] = self._boots.get(machine, 0) + 1
        self._router_starts[machine] = self.clock.now() + self.ROUTER_START
        for key in [key for key in self.jobs if key[1] == machine]:
            del self.jobs[key]
        self._agents.pop(machine, None)
        self.docker_starts(machine)

    def restart_docker(self, machine: str) -> None:
        """Containers end with docker, and start again."""
        self._dockers[machine] = self._dockers.get(machine, 0) + 1
        self.docker_starts(machine)
        for (name, where), job in list(self.jobs.items()):
            if where == machine and job.is_up and self._is_app(name):
                self.crash(name, machine)

    def lose_machine(self, machine: str) -> None:
        """The node is gone, and fleet has noticed."""
        del self.machines[machine]
        self._killed.pop(machine, None)
        self._agents.pop(machine, None)
        self._routers.pop(machine, None)
        self.etcd.delete(self._machine_key(machine))
        for key in [key for key in self.jobs if key[1] == machine]:
            del self.jobs[key]
        for unit in self.units.values():
            if unit.machine == machine:
                unit.machine = ""

    def add_machine(self, machine: str, address: str) -> None:
        self.machines[machine] = address
        self._tell_fleet(machine)

    def _tell_fleet(self, machine: str) -> None:
        self.etcd.put(self._machine_key(machine), json.dumps({"PublicIP": self.machines[machine]}))

    def _machine_key(self, machine: str) -> str:
        return f"/_coreos.com/fleet/machines/{machine}/object"

    def life(self, machine: str) -> dict[str, str]:
        """The ids of this start of a node, and of its docker."""
        return {
            "boot": f"{machine[:4]}-boot-{self._boots.get(machine, 0)}",
            "docker": f"{machine[:4]}-docker-{self._dockers.get(machine, 0)}",
        }

    # --- fleet's agents -----------------------------------------------------------------------

    def _run_agent(self, machine: str) -> None:
        for unit in self.units.values():
            if not unit.is_global and unit.machine != machine:
                continue
            job = self.jobs.get((unit.name, machine))
            if unit.desired == "inactive":
                if job is not None:
                    if not job.is_dead:
                        self.unloaded_alive.append(unit.name)
                    self._order(job, machine, "loaded")
                    if job.is_dead:
                        del self.jobs[unit.name, machine]
                continue
            if job is None:
                now = self.clock.now()
                job = self.jobs[unit.name, machine] = Job(unit, machine, since=now, born=now)
            self._order(job, machine, unit.desired)
        for name, where in list(self.jobs):
            if where == machine and name not in self.units:
                assert self.jobs[name, where].is_dead, f"{name} was destroyed alive"
                del self.jobs[name, where]

    def _order(self, job: Job, machine: str, target: str) -> None:
        """The agent compares with its own last order, never with systemd's state."""
        if job.target == target:
            return
        job.target = target
        if target == "launched":
            self.start(job.unit.name, machine)
        else:
            self.stop(job.unit.name, machine)

    # --- running units ------------------------------------------------------------------------

    def on_active(self, job: Job) -> None:
        """A switchover runs its commands; a container gets its port."""
        if self._is_app(job.unit.name):
            self.publish(job)
        for command in job.unit.values("Service", "ExecStart"):
            if command.startswith(_SYSTEMCTL):
                _, verb, *units = command.split()
                for unit in units:
                    (self.start if verb == "start" else self.stop)(unit, job.machine)

    def _is_app(self, name: str) -> bool:
        match = INSTANCE.fullmatch(name)
        return match is not None and not match["announce"]

    # --- routers ------------------------------------------------------------------------------

    def _run_routers(self) -> None:
        faults, containers = self.router_faults, self._containers()
        for machine in self.living():
            if self.clock.now() < self._router_starts.get(machine, 0.0):
                continue
            router = self._routers.setdefault(machine, SimulatedRouter(machine[:4]))
            report = router.run(
                self.etcd,
                self.clock.now(),
                lag=self.router_lag,
                error="nginx -t failed" if machine in faults.stuck else None,
                left_out=[*faults.left_out.get(machine, ()), *self._expired()],
                life=self.life(machine),
            )
            if report is not None:
                report |= {"expired": sorted(faults.expired)}
                self.etcd.put(f"/routers/{machine}", json.dumps(report), ttl=15)
            for key, address in router.addresses.items():
                self._send_request(machine, key, containers.get(address))

    def _expired(self) -> list[tuple[str, str]]:
        return [
            (f"/certificates/{name}", "has expired") for name in sorted(self.router_faults.expired)
        ]

    def _containers(self) -> dict[str, str]:
        """The instance keys of the containers that listen, by address."""
        return {
            f"{self.machines[machine]}:{job.port}": instance_key(match)
            for (name, machine), job in self.jobs.items()
            if job.port and machine not in self._killed and (match := INSTANCE.fullmatch(name))
        }

    def _send_request(self, router: str, key: str, answers: str | None) -> None:
        if answers is None:
            self.lost_requests.append(f"{router[:4]} → {key}")
        elif answers.split("/")[2] != key.split("/")[2]:
            self.misled_requests.append(f"{router[:4]} → {key}, but {answers} answered")

    def _served(self) -> set[str]:
        """Announced instances that every router has loaded."""
        loaded = [router.loaded.usable.keys() for router in self._routers.values()]
        keys = {key for key in self.etcd.entries if "/instances/" in key}
        return {key.rpartition("/")[2] for key in keys.intersection(*loaded)} if loaded else set()
