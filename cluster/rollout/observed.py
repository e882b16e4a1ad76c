"""What is true of one service now: its units in fleet, its keys in etcd, who serves.

A rollout decides from this alone and never from memory, which is why it can be run again after
any interruption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clients.etcd import Etcd
from clients.fleet import DesiredState, Fleet, Machine, Unit, UnitState
from clients.routers import Router, have_applied, read_routers
from clients.service_store import Announced, ServiceKeys, ServiceRecord
from cluster.rollout.release import InstanceId, instances_among
from contract.keys import instance_key


@dataclass(kw_only=True, frozen=True)
class Instance:
    """One instance as fleet, systemd and etcd see it."""

    id: InstanceId
    app: Unit | None = None
    announce: Unit | None = None
    app_states: tuple[UnitState, ...] = ()
    announce_states: tuple[UnitState, ...] = ()
    announced: Announced | None = None
    is_seen: bool = False  # every living router serves it
    left_out: str = ""  # which routers can't use it, and why
    is_lost: bool = False  # its machine seems to be gone; fleet needs 2 minutes to say so

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(unit for unit in (self.app, self.announce) if unit is not None)

    @property
    def is_launched(self) -> bool:
        """fleet is to run it."""
        return len(self.units) == 2 and all(
            unit.desired is DesiredState.LAUNCHED for unit in self.units
        )

    @property
    def is_ready(self) -> bool:
        """It serves: healthy, announced, and known to every router."""
        return self.is_launched and self.announced is not None and self.is_seen

    @property
    def is_stopped(self) -> bool:
        """Nothing of it runs or is meant to, as far as anybody can tell. fleet may hold a state of
        a unit that it does not have any more, for two minutes or until fleetd is restarted
        (coreos/fleet#1627); there is nothing left to stop, then."""
        return (
            self.announced is None
            and self.is_quiet
            and (self.is_dead or self.is_lost or not self.units)
        )

    @property
    def is_quiet(self) -> bool:
        """fleet is not to run any part of it."""
        return all(unit.desired is DesiredState.INACTIVE for unit in self.units)

    @property
    def is_dead(self) -> bool:
        """systemd runs no part of it."""
        return _is_dead(self.app, self.app_states) and self.is_sidekick_dead

    @property
    def is_preparing(self) -> bool:
        """Its image is being pulled: an ExecStartPre= of its unit is at work."""
        return any(state.sub == "start-pre" for state in self.app_states)

    @property
    def is_running(self) -> bool:
        """Its container runs and is meant to, whatever its sidekick does."""
        return (
            not self.is_lost
            and self.app is not None
            and self.app.desired is DesiredState.LAUNCHED
            and any(state.is_running for state in self.app_states)
        )

    @property
    def is_stopping(self) -> bool:
        """A part of it is on its way down, and must be dead before it is started again."""
        return any(
            unit is not None
            and unit.desired is not DesiredState.LAUNCHED
            and not _is_dead(unit, states)
            for unit, states in (
                (self.app, self.app_states),
                (self.announce, self.announce_states),
            )
        )

    @property
    def is_sidekick_dead(self) -> bool:
        """systemd does not run what announces it."""
        return _is_dead(self.announce, self.announce_states)

    @property
    def machine_id(self) -> str:
        """Where it is, or an empty text while fleet has found no machine."""
        return self.app.machine_id if self.app is not None else ""


def _is_dead(unit: Unit | None, states: tuple[UnitState, ...]) -> bool:
    """A machine tells of every unit that it has, also of a dead one. While it has not, it may be
    just about to start it, by an order that does not hold any more."""
    is_untold = (
        not states
        and unit is not None
        and unit.machine_id != ""
        and unit.desired is not DesiredState.INACTIVE
    )
    return not is_untold and all(state.is_dead for state in states)


@dataclass(kw_only=True, frozen=True)
class View:
    """One service at one moment."""

    instances: Mapping[InstanceId, Instance] = field(default_factory=dict)
    record: ServiceRecord = field(default_factory=ServiceRecord)
    routers: tuple[Router, ...] = ()
    machines: tuple[Machine, ...] = ()
    units: Mapping[str, Unit] = field(default_factory=dict)  # of all services

    def instance(self, instance_id: InstanceId) -> Instance:
        """One instance, known or not."""
        return self.instances.get(instance_id) or Instance(id=instance_id)

    def present(self) -> tuple[Instance, ...]:
        """Those that run, are meant to, or are still announced."""
        return tuple(instance for instance in self.instances.values() if not instance.is_stopped)

    def node(self, machine_id: str) -> str:
        """A machine's name for people."""
        for router in self.routers:
            if router.machine_id == machine_id:
                return router.node
        for machine in self.machines:
            if machine.id == machine_id:
                return machine.primary_ip
        return f"a machine that is gone ({machine_id[:8]})"


class Observer:
    """Looks at one service."""

    def __init__(self, etcd: Etcd, fleet: Fleet, keys: ServiceKeys, service: str) -> None:
        self._etcd = etcd
        self._fleet = fleet
        self._keys = keys
        self._service = service

    def routers(self) -> tuple[Router, ...]:
        """The routers that are alive."""
        return read_routers(self._etcd)

    def look(self) -> View:
        """Read everything once. Routers first: what they have applied must not be newer than the
        keys it is compared with."""
        routers = read_routers(self._etcd)
        record = self._keys.read()
        return make_view(
            self._service,
            units=self._fleet.units(),
            states=self._fleet.states(),
            machines=self._fleet.machines(),
            routers=routers,
            record=record,
        )


def make_view(
    service: str,
    *,
    units: Mapping[str, Unit],
    states: Sequence[UnitState],
    machines: Sequence[Machine],
    routers: Sequence[Router],
    record: ServiceRecord,
) -> View:
    """Put together what the sources say about `service`."""
    names = {*units, *(state.name for state in states)}
    known = {instance.key: instance for instance in instances_among(service, names)}
    for key in record.instances:
        release, _, n = key.rpartition("-")
        if key not in known and release and n.isdigit():
            known[key] = InstanceId(service=service, release=release, n=int(n))

    def states_of(name: str) -> tuple[UnitState, ...]:
        return tuple(state for state in states if state.name == name)

    instances = {}
    for key, instance_id in known.items():
        announced = record.instances.get(key)
        left_out = _left_out(instance_key(service, key), routers)
        instance = Instance(
            id=instance_id,
            app=units.get(instance_id.app),
            announce=units.get(instance_id.announce),
            app_states=states_of(instance_id.app),
            announce_states=states_of(instance_id.announce),
            announced=announced,
            is_seen=announced is not None
            and have_applied(routers, announced.index)
            and not left_out,
            left_out=left_out,
        )
        instances[instance_id] = replace(instance, is_lost=_is_lost(instance, routers))
    return View(
        instances=dict(sorted(instances.items())),
        record=record,
        routers=tuple(routers),
        machines=tuple(machines),
        units=units,
    )


def _left_out(key: str, routers: Sequence[Router]) -> str:
    return ", ".join(
        f"the router on {router.node} leaves it out: {router.problems[key]}"
        for router in routers
        if key in router.problems
    )


def _is_lost(instance: Instance, routers: Sequence[Router]) -> bool:
    """An instance's key and a router's report end 15 s after their machine."""
    states = (*instance.app_states, *instance.announce_states)
    machine_ids = {unit.machine_id for unit in instance.units} - {""}
    machine_ids |= {state.machine_id for state in states}
    return (
        instance.announced is None
        and bool(routers)
        and bool(machine_ids)
        and machine_ids.isdisjoint(router.machine_id for router in routers)
    )
