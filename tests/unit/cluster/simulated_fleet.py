"""fleet in memory: its HTTP API with pages and faults, its engine, and the events it misses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import httpx

from tests.unit.cluster.simulated_clock import SimulatedClock


@dataclass
class SimulatedUnit:
    name: str
    options: list[dict[str, str]]
    desired: str
    machine: str = ""

    @cached_property
    def _values(self) -> dict[tuple[str, str], list[str]]:
        prefix, _, instance = self.name.removesuffix(".service").partition("@")
        values: dict[tuple[str, str], list[str]] = {}
        for option in self.options:
            value = option["value"].replace("%p", prefix).replace("%i", instance)
            values.setdefault((option["section"], option["name"]), []).append(value)
        return values

    @cached_property
    def encoded(self) -> str:
        """Its options as JSON."""
        return json.dumps(self.options)

    def values(self, section: str, name: str) -> list[str]:
        """The values of a directive, one for each line."""
        return self._values.get((section, name), [])

    def units(self, *directives: str) -> set[str]:
        """The units that directives like After= name."""
        return {
            unit
            for name in directives
            for value in self.values("Unit", name)
            for unit in value.split()
        }

    def fleet_options(self, name: str) -> list[str]:
        return self.values("X-Fleet", name)

    @property
    def is_global(self) -> bool:
        return self.fleet_options("Global") == ["true"]


class Loop:
    """One of fleet's reconcilers: every so often, or after an event if it did not miss it.

    Its watch has no index, looks only at the first key written, and then sleeps for a second:
    https://github.com/coreos/fleet/blob/v1.0.0/registry/event.go
    """

    def __init__(self, now: float, interval: float) -> None:
        self._interval = interval
        self._next = now + interval
        self._wakes: float | None = None
        self._of_interest = False

    def see(self, key: str, now: float) -> None:
        if self._wakes is None:
            self._wakes = now + 1.0
            self._of_interest = key in ("target", "target-state")

    def is_due(self, now: float) -> bool:
        if self._wakes is not None and now >= self._wakes:
            self._wakes = None
            if self._of_interest:
                return True
        if now >= self._next:
            self._next = now + self._interval
            return True
        return False


@dataclass
class Job:
    """A unit on a machine, as its agent and systemd have it."""

    unit: SimulatedUnit
    machine: str
    target: str = "loaded"  # the agent's last order to systemd
    active: str = "inactive"
    sub: str = "dead"
    since: float = 0.0
    born: float = 0.0  # when it was loaded on its node
    starts_again: bool = False  # once it has stopped
    port: int = 0  # of its container, on the machine
    announced: str = ""  # by a sidekick: the value it wrote last
    left: int = 0  # by a sidekick: etcd's index after it deleted its key
    drains_since: float | None = None

    @property
    def is_dead(self) -> bool:
        return self.active in ("inactive", "failed")

    @property
    def is_up(self) -> bool:
        return self.active == "active"


class SimulatedFleet:
    """The store of units, its API, and the engine that assigns units to nodes."""

    PAGE = 20  # entries in a page of an answer

    def __init__(self, clock: SimulatedClock, *, machines: int) -> None:
        self.clock = clock
        self.machines = {f"{n:x}" * 32: f"10.0.0.{3 + n}" for n in range(1, machines + 1)}
        self.units: dict[str, SimulatedUnit] = {}
        self.jobs: dict[tuple[str, str], Job] = {}  # by unit and machine
        self.writes: list[str] = []
        self.faults: list[str] = []  # before, after, unavailable: for the next requests
        self.silence = 0.0  # seconds until a node reports a new unit
        self.stale_states: list[dict[str, str]] = []  # states of units that were deleted
        self._engine = Loop(clock.now(), 10.0)
        self._agents: dict[str, Loop] = {}

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            return httpx.Response(500)
        if fault == "unavailable":
            return httpx.Response(503, json={"error": {"code": 503, "message": "no etcd"}})
        response = self._answer(request)
        return httpx.Response(500) if fault == "after" else response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/fleet/v1")
        if path == "/machines":
            return httpx.Response(
                200,
                json={
                    "machines": [
                        {"id": m, "primaryIP": ip, "metadata": {"role": "core"}}
                        for m, ip in self.machines.items()
                    ]
                },
            )
        if path == "/state":
            told = [
                self._state(*key)
                for key, job in sorted(self.jobs.items())
                if self.clock.now() - job.born >= self.silence
            ]
            return self._page(request, "states", [*told, *map(json.dumps, self.stale_states)])
        if path == "/units":
            return self._page(request, "units", [self._unit(name) for name in sorted(self.units)])
        name = path.removeprefix("/units/")
        match request.method:
            case "GET":
                if name not in self.units:
                    return httpx.Response(404, json={"error": {"code": 404, "message": "none"}})
                return httpx.Response(200, text=self._unit(name))
            case "PUT":
                return self._put(name, json.loads(request.content))
            case "DELETE":
                self.writes.append(f"destroy {name}")
                if self.units.pop(name, None) is None:
                    return httpx.Response(404)
                self.forget(name)
                return httpx.Response(204)
        raise NotImplementedError(request.method)

    def _page(self, request: httpx.Request, field_name: str, items: list[str]) -> httpx.Response:
        """`items` are JSON already: units are long and requested often."""
        page = int(request.url.params.get("nextPageToken", "0"))
        end = (page + 1) * self.PAGE
        body = f'"{field_name}": [{", ".join(items[page * self.PAGE : end])}]'
        if len(items) > end:
            body += f', "nextPageToken": "{page + 1}"'
        return httpx.Response(200, text="{" + body + "}")

    def _put(self, name: str, body: dict[str, Any]) -> httpx.Response:
        self.writes.append(f"{body['desiredState']} {name}")
        options = body.get("options")
        if name not in self.units:
            if not options:
                return httpx.Response(409)
            self.units[name] = SimulatedUnit(name, options, body["desiredState"])
            self.store(name, json.dumps(options))
            self._write("object")
            self._write("target-state")
            return httpx.Response(201)
        assert not options or options == self.units[name].options, f"{name}: content was replaced"
        self.units[name].desired = body["desiredState"]
        self._write("target-state")
        return httpx.Response(204)

    def store(self, name: str, text: str) -> None:
        """Write a unit to etcd."""

    def forget(self, name: str) -> None:
        """Delete a unit from etcd."""

    def _write(self, key: str) -> None:
        """A key below fleet's /job, which its loops watch."""
        for loop in (self._engine, *self._agents.values()):
            loop.see(key, self.clock.now())

    def _unit(self, name: str) -> str:
        unit = self.units[name]
        job = None if unit.is_global else self.jobs.get((name, unit.machine))
        head = {
            "name": name,
            "desiredState": unit.desired,
            "currentState": job.target if job else "inactive",
            "machineID": unit.machine,
        }
        return json.dumps(head)[:-1] + f', "options": {unit.encoded}}}'

    def _state(self, name: str, machine: str) -> str:
        job = self.jobs[name, machine]
        return (
            f'{{"name": "{name}", "machineID": "{machine}", "systemdLoadState": "loaded",'
            f' "systemdActiveState": "{job.active}", "systemdSubState": "{job.sub}"}}'
        )

    def run_engine(self) -> None:
        if self._engine.is_due(self.clock.now()):
            self._schedule()

    def _schedule(self) -> None:
        for unit in self.units.values():
            if unit.desired == "inactive":
                if unit.machine and (unit.name, unit.machine) not in self.jobs:
                    unit.machine = ""
            elif not unit.machine and not unit.is_global:
                unit.machine = self._place(unit)
                if unit.machine:
                    self._write("target")

    def _place(self, unit: SimulatedUnit) -> str:
        def load(machine: str) -> int:
            return sum(other.machine == machine for other in self.units.values())

        for machine in sorted(self.machines, key=lambda m: (load(m), m)):
            here = [u for u in self.units.values() if u.machine == machine and u is not unit]
            wanted = unit.fleet_options("MachineID")
            peers = unit.fleet_options("MachineOf")
            if wanted and machine not in wanted:
                continue
            if any(peer not in {u.name for u in here} for peer in peers):
                continue
            if any(_conflict(unit, other) or _conflict(other, unit) for other in here):
                continue
            return machine
        return ""


def _conflict(unit: SimulatedUnit, other: SimulatedUnit) -> bool:
    return any(fnmatchcase(other.name, glob) for glob in unit.fleet_options("Conflicts"))
