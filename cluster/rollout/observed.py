"""The current state of one service: its units in fleet, its keys in etcd, its instances.

A rollout decides from this alone and never from memory, so it can be run again after any
interruption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clients.fleet import DesiredState, Machine, Unit, UnitState
from clients.routers import Router, have_applied, read_routers
from clients.service_store import Announced, ServiceKeys, ServiceRecord
from cluster.context import ClusterContext
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
    is_lost: bool = False  # its node seems to be gone; fleet notices after 2 minutes

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(unit for unit in (self.app, self.announce) if unit is not None)

    @property
    def is_launched(self) -> bool:
        """fleet should run it."""
        return len(self.units) == 2 and all(
            unit.desired is DesiredState.LAUNCHED for unit in self.units
        )

    @property
    def is_ready(self) -> bool:
        """It serves: it is healthy, announced, and applied by every router."""
        return self.is_launched and self.announced is not None and self.is_seen

    @property
    def is_stopped(self) -> bool:
        """No part of it runs or should run. fleet may report the state of a unit that it has
        deleted, for two minutes or until fleetd restarts (coreos/fleet#1627): that counts as
        stopped, too."""
        return (
            self.announced is None
            and self.is_quiet
            and (self.is_dead or self.is_lost or not self.units)
        )

    @property
    def is_quiet(self) -> bool:
        """fleet should run no part of it."""
        return all(unit.desired is DesiredState.INACTIVE for unit in self.units)

    @property
    def is_dead(self) -> bool:
        """systemd runs no part of it."""
        return _is_dead(self.app, self.app_states) and self.is_sidekick_dead

    @property
    def is_preparing(self) -> bool:
        """Its image is being pulled: an ExecStartPre= of its unit runs."""
        return any(state.sub == "start-pre" for state in self.app_states)

    @property
    def is_running(self) -> bool:
        """Its container runs and should, whatever its sidekick does."""
        return (
            not self.is_lost
            and self.app is not None
            and self.app.desired is DesiredState.LAUNCHED
            and any(state.is_running for state in self.app_states)
        )

    @property
    def is_stopping(self) -> bool:
        """A part of it is stopping, and must be dead before it can be started again."""
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
        """systemd does not run its sidekick."""
        return _is_dead(self.announce, self.announce_states)

    @property
    def machine_id(self) -> str:
        """Where it is; empty while fleet has found no node for it."""
        return self.app.machine_id if self.app is not None else ""


def _is_dead(unit: Unit | None, states: tuple[UnitState, ...]) -> bool:
    """fleet reports a state for every unit on a node, dead ones included. Until it does, the node
    may still be about to start the unit."""
    is_unreported = (
        not states
        and unit is not None
        and unit.machine_id != ""
        and unit.desired is not DesiredState.INACTIVE
    )
    return not is_unreported and all(state.is_dead for state in states)


@dataclass(kw_only=True, frozen=True)
class ObservedService:
    """One service at one moment, with its instances."""

    instances: Mapping[InstanceId, Instance] = field(default_factory=dict)
    record: ServiceRecord = field(default_factory=ServiceRecord)
    routers: tuple[Router, ...] = ()
    machines: tuple[Machine, ...] = ()
    units: Mapping[str, Unit] = field(default_factory=dict)  # of all services

    @property
    def exists(self) -> bool:
        """Whether fleet or etcd has anything of the service."""
        return bool(self.instances) or self.record.exists

    def instance(self, instance_id: InstanceId) -> Instance:
        """One instance, known or not."""
        return self.instances.get(instance_id) or Instance(id=instance_id)

    def present(self) -> tuple[Instance, ...]:
        """The instances that run, should run, or are still announced."""
        return tuple(instance for instance in self.instances.values() if not instance.is_stopped)

    def node(self, machine_id: str) -> str:
        """The name of the node with this id in fleet."""
        for router in self.routers:
            if router.machine_id == machine_id:
                return router.node
        for machine in self.machines:
            if machine.id == machine_id:
                return machine.primary_ip
        return f"a node that is gone ({machine_id[:8]})"


class Observer:
    """Reads the state of one service."""

    def __init__(self, context: ClusterContext, service: str) -> None:
        self._etcd = context.etcd
        self._fleet = context.fleet
        self._store = ServiceKeys(context.etcd, service)
        self._service = service

    def routers(self) -> tuple[Router, ...]:
        """The routers that are alive."""
        return read_routers(self._etcd)

    def look(self) -> ObservedService:
        """Read everything once. Routers first: what they report must not be newer than the keys
        that it is compared with."""
        routers = read_routers(self._etcd)
        record = self._store.read()
        return observe_service(
            self._service,
            units=self._fleet.units(),
            states=self._fleet.states(),
            machines=self._fleet.machines(),
            routers=routers,
            record=record,
        )


def observe_service(
    service: str,
    *,
    units: Mapping[str, Unit],
    states: Sequence[UnitState],
    machines: Sequence[Machine],
    routers: Sequence[Router],
    record: ServiceRecord,
) -> ObservedService:
    """Combine what fleet, etcd and the routers report about `service`."""
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
    return ObservedService(
        instances=dict(sorted(instances.items())),
        record=record,
        routers=tuple(routers),
        machines=tuple(machines),
        units=units,
    )


def _left_out(key: str, routers: Sequence[Router]) -> str:
    return ", ".join(
        f"the router on {router.node} leaves it out: {reason}"
        for router in routers
        if (reason := router.why_left_out(key))
    )


def _is_lost(instance: Instance, routers: Sequence[Router]) -> bool:
    """An instance's key and a router's report expire 15 s after their node is gone."""
    states = (*instance.app_states, *instance.announce_states)
    machine_ids = {unit.machine_id for unit in instance.units} - {""}
    machine_ids |= {state.machine_id for state in states}
    return (
        instance.announced is None
        and bool(routers)
        and bool(machine_ids)
        and machine_ids.isdisjoint(router.machine_id for router in routers)
    )
