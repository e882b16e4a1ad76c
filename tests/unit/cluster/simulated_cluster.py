"""A cluster in memory: fleet's agents, systemd, sidekicks and routers on simulated machines.

As slow and as forgetful as the real ones, in simulated time: fleet schedules after a while, an app
needs time to become healthy, a sidekick drains when it is stopped, a router follows with a lag.
`Weather` says what goes wrong.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field

from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_etcd import SimulatedEtcd
from tests.unit.cluster.simulated_fleet import Job, Loop, SimulatedFleet

# coreos/fleet v1.0.0, registry/job.go and registry/unit.go
JOBS, TEXTS = "/_coreos.com/fleet/job", "/_coreos.com/fleet/unit"
_INSTANCE = re.compile(
    r"(?P<service>.+)-(?P<release>[0-9a-f]{8})(?P<announce>-announce)?@(?P<n>\d+)\.service"
)


@dataclass
class Weather:
    """What goes wrong."""

    unhealthy: set[str] = field(default_factory=set)  # words in an app unit that never gets well
    failing: dict[str, int] = field(default_factory=dict)  # word in a unit → fails so many times
    stuck_routers: set[str] = field(default_factory=set)  # machine ids
    left_out: dict[str, str] = field(default_factory=dict)  # machine id → what its router can't use
    expired: set[str] = field(default_factory=set)  # certificates


class SimulatedCluster(SimulatedFleet):
    """Machines that carry out what fleet wants."""

    START, HEALTHY, STOP, AGENT_TTL = 0.5, 1.5, 0.5, 120.0  # seconds

    def __init__(self, clock: SimulatedClock, etcd: SimulatedEtcd, *, machines: int = 3) -> None:
        super().__init__(clock, machines=machines)
        self.etcd = etcd
        self.weather = Weather()
        self.drain = 2.0
        self.router_lag = 0.5
        self.serving: list[set[str]] = []  # instance keys that every router serves, tick by tick
        self._failed: dict[str, int] = {}
        self._killed: dict[str, float] = {}
        self.lost_requests: list[str] = []  # a router sent clients to an instance that was not up
        self._read: dict[str, tuple[float, int, frozenset[str]]] = {}
        self._routing: dict[str, frozenset[str]] = {}  # what each router's nginx has loaded
        etcd.put("/services/.keep", "")
        etcd.delete("/services/.keep")
        for machine, address in self.machines.items():
            etcd.put(self._machine_key(machine), json.dumps({"PublicIP": address}))
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
            if now - when >= self.AGENT_TTL:
                self.lose_machine(machine)
        self.run_engine()
        for machine in self.living():
            if self._agents.setdefault(machine, Loop(now, 5.0)).is_due(now):
                self._run_agent(machine)
        for (name, machine), job in list(self.jobs.items()):
            if machine not in self._killed:
                self._run_systemd(name, machine, job)
        self._run_routers()
        self.serving.append(self._served())

    def kill_machine(self, machine: str) -> None:
        """It is gone, and fleet learns it two minutes later."""
        self._killed[machine] = self.clock.now()

    def lose_machine(self, machine: str) -> None:
        """It is gone, and fleet knows."""
        del self.machines[machine]
        self._killed.pop(machine, None)
        self._agents.pop(machine, None)
        self.etcd.delete(self._machine_key(machine))
        for key in [key for key in self.jobs if key[1] == machine]:
            del self.jobs[key]
        for unit in self.units.values():
            if unit.machine == machine:
                unit.machine = ""

    def _machine_key(self, machine: str) -> str:
        return f"/_coreos.com/fleet/machines/{machine}/object"

    def _run_agent(self, machine: str) -> None:
        for unit in self.units.values():
            if not unit.is_global and unit.machine != machine:
                continue
            job = self.jobs.get((unit.name, machine))
            if unit.desired == "inactive":
                if job is not None:
                    self._order(job, "loaded")
                    if job.active in ("inactive", "failed"):
                        del self.jobs[unit.name, machine]
                continue
            if job is None:
                job = self.jobs[unit.name, machine] = Job(
                    since=self.clock.now(), born=self.clock.now()
                )
            self._order(job, unit.desired)
        for name, where in list(self.jobs):
            if where == machine and name not in self.units:
                alive = self.jobs[name, where].active not in ("inactive", "failed")
                assert not alive, f"{name} was destroyed alive"
                del self.jobs[name, where]

    def _order(self, job: Job, target: str) -> None:
        """The agent compares with what it ordered last, never with what systemd says."""
        if job.target == target:
            return
        job.target = target
        if target == "launched":
            if job.active not in ("active", "activating"):
                self._become(job, "activating", "start")
        elif job.active not in ("inactive", "failed"):
            self._become(job, "deactivating", "stop")

    def systemctl(self, verb: str, name: str, machine: str) -> None:
        """What a turn's unit does on its machine."""
        job = self.jobs[name, machine]
        if verb == "start" and job.active not in ("active", "activating"):
            self._become(job, "activating", "start")
        if verb == "stop" and job.active not in ("inactive", "failed"):
            self._become(job, "deactivating", "stop")

    def _become(self, job: Job, active: str, sub: str) -> None:
        job.active, job.sub, job.since = active, sub, self.clock.now()

    def _run_systemd(self, name: str, machine: str, job: Job) -> None:
        age = self.clock.now() - job.since
        if job.active == "activating" and age >= self.START:
            word = next((w for w in self.weather.failing if w in name or w in self._text(name)), "")
            if word and self._failed.get(name, 0) < self.weather.failing[word]:
                self._failed[name] = self._failed.get(name, 0) + 1
                self._become(job, "failed", "failed")
            elif self._may_start(name, machine):
                self._become(job, "active", "running")
                self._on_active(name, machine)
        elif job.active == "deactivating":
            self._stop(name, machine, job, age)
        elif job.active == "active":
            self._beat(name, machine, age)

    def _text(self, name: str) -> str:
        return self.units[name].text if name in self.units else ""

    def _may_start(self, name: str, machine: str) -> bool:
        match = _INSTANCE.fullmatch(name)
        if match is None or not match["announce"]:
            return True
        return self._app_job(match, machine).active == "active"

    def _on_active(self, name: str, machine: str) -> None:
        """A turn's unit carries out its commands when it becomes active."""
        for option in self.units[name].options:
            if option["name"] == "ExecStart" and option["value"].startswith("/usr/bin/systemctl"):
                _, verb, *units = option["value"].split()
                for unit in units:
                    self.systemctl(verb, unit, machine)

    def _app_job(self, match: re.Match[str], machine: str) -> Job:
        app = f"{match['service']}-{match['release']}@{match['n']}.service"
        return self.jobs.get((app, machine), Job())

    def _stop(self, name: str, machine: str, job: Job, age: float) -> None:
        match = _INSTANCE.fullmatch(name)
        if match is not None and match["announce"]:
            key = _key(match)
            self.etcd.delete(key)
            if age >= self.drain:
                self._become(job, "inactive", "dead")
            return
        if match is not None:
            self._stop_sidekick_first(match, machine)
            sidekick = self.jobs.get((_sidekick(match), machine))
            if sidekick is not None and sidekick.active == "deactivating":
                return
        if age >= self.STOP:
            self._become(job, "inactive", "dead")

    def _stop_sidekick_first(self, match: re.Match[str], machine: str) -> None:
        """BindsTo and After: the sidekick is stopped with its app, and before it."""
        sidekick = self.jobs.get((_sidekick(match), machine))
        if sidekick is not None and sidekick.active in ("active", "activating"):
            self._become(sidekick, "deactivating", "stop")

    def _beat(self, name: str, machine: str, age: float) -> None:
        match = _INSTANCE.fullmatch(name)
        if match is None or not match["announce"]:
            return
        key = _key(match)
        app = self._app_job(match, machine)
        app_name = f"{match['service']}-{match['release']}@{match['n']}.service"
        ill = any(word in self._text(app_name) for word in self.weather.unhealthy)
        if app.active != "active" or ill:
            self.etcd.delete(key)
            if ill:
                note = {"node": machine[:4], "reason": "GET /health answered 500", "log": "boom"}
                self.etcd.put(key.replace("/instances/", "/failures/"), json.dumps(note), ttl=60)
        elif self.etcd.value(key) is not None:
            if age % 4 < SimulatedClock.TICK:
                self.etcd.refresh(key, 15)
        elif self.clock.now() - app.since >= self.HEALTHY:
            value = {
                "http": f"{self.machines[machine]}:{30000 + int(match['n'])}",
                "node": machine[:4],
            }
            self.etcd.put(key, json.dumps(value), ttl=15)

    def living(self) -> list[str]:
        return [machine for machine in self.machines if machine not in self._killed]

    def _run_routers(self) -> None:
        for machine in self.living():
            read_at, index, keys = self._read.get(machine, (-10.0, 0, frozenset()))
            error = "nginx -t failed" if machine in self.weather.stuck_routers else None
            if self.clock.now() - read_at >= self.router_lag:
                # what it read at its last beat it has loaded now
                if error is None:
                    self._routing[machine] = keys
                    self._read[machine] = (self.clock.now(), self.etcd.index, self._announced())
                told = error or self.weather.left_out.get(machine)
                value = {"node": machine[:4], "applied": index, "error": told}
                if expired := sorted(self.weather.expired):
                    also = [f"/certificates/{name}: has expired" for name in expired]
                    value |= {"error": "; ".join([told, *also] if told else also)}
                    value |= {"expired": expired}
                self.etcd.put(f"/routers/{machine}", json.dumps(value), ttl=15)
            for key in self._routing.get(machine, frozenset()):
                self._send_request(machine, key)

    def _announced(self) -> frozenset[str]:
        return frozenset(key for key in self.etcd.entries if "/instances/" in key)

    def _send_request(self, router: str, key: str) -> None:
        _, _, service, _, instance = key.split("/")
        release, _, n = instance.rpartition("-")
        app = f"{service}-{release}@{n}.service"
        if not any(job.active == "active" for (name, _), job in self.jobs.items() if name == app):
            self.lost_requests.append(f"{router[:4]} → {instance}")

    def _served(self) -> set[str]:
        """Announced instances that every router has loaded."""
        loaded = [self._routing.get(machine, frozenset()) for machine in self.living()]
        keys = self._announced().intersection(*loaded) if loaded else frozenset()
        return {key.rpartition("/")[2] for key in keys}


def _key(match: re.Match[str]) -> str:
    return f"/services/{match['service']}/instances/{match['release']}-{match['n']}"


def _sidekick(match: re.Match[str]) -> str:
    return f"{match['service']}-{match['release']}-announce@{match['n']}.service"
