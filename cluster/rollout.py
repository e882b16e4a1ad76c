"""Carries out the steps of `plan`: starts instances, waits for them, drains and stops them.

It never judges by fleet's exit codes or its desired state; only what is announced, seen by the
routers, or dead in systemd counts. An instance's sidekick does the draining: it takes its key away
and waits before it ends, so the sidekick is always stopped first and the app after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cluster.clock import Clock
from cluster.errors import ClusterError
from cluster.explain import why_not_ready, why_unscheduled
from cluster.fleet import DesiredState, Fleet, Option, Unit
from cluster.lock import Lock
from cluster.plan import Await, Done, Start, Stop, Target, WriteRoute, next_step
from cluster.progress import Patience, Progress
from cluster.release import InstanceId, Release
from cluster.routers import have_applied, laggards
from cluster.service_keys import ServiceKeys
from cluster.view import Instance, Observer, View

PAUSE = 0.5
# fleet's loops miss events (a watch without index, asleep for a second): a repeated write wakes
# them. https://github.com/coreos/fleet/blob/v1.0.0/registry/event.go
NUDGE_AFTER = 3.0
# The engine schedules every 10 s at least.
UNSCHEDULABLE_AFTER = 15.0
STOP_MARGIN = 60.0  # a container's own time to stop, and fleet's loops
ROUTERS_PATIENCE = 30.0  # a router that hangs is dead to the others after 15 s


class RolloutFailed(ClusterError):
    """The service could not get to where it should be; what served before still serves."""


class InstanceFailed(RolloutFailed):
    """An instance did not become ready."""

    def __init__(self, instance: InstanceId, reason: str) -> None:
        super().__init__(f"{instance} did not become ready: {reason}")
        self.instance = instance


class Rollout:
    """Brings one service to a target, under the service's lock."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        keys: ServiceKeys,
        observer: Observer,
        lock: Lock,
        clock: Clock,
        progress: Progress,
        drain: float,
        start_timeout: float = 120.0,
    ) -> None:
        self._fleet = fleet
        self._keys = keys
        self._observer = observer
        self._lock = lock
        self._clock = clock
        self._progress = progress
        self._drain = drain
        self._start_timeout = start_timeout
        self.started: set[InstanceId] = set()  # in this run

    def converge(self, target: Target, release: Release | None = None) -> None:
        """Take step after step until the service is at `target`. `release` holds the contents of
        units that fleet does not have yet. Raises RolloutFailed."""
        while True:
            view = self._observer.look()
            match next_step(view, target):
                case WriteRoute(route=route):
                    self._write_route(route)
                case Start(instances=instances):
                    self._start(view, instances, release)
                case Await(instances=instances):
                    self._await(instances)
                case Stop(instances=instances):
                    self.stop(instances)
                case Done():
                    return

    def destroy(self, instances: Iterable[InstanceId]) -> None:
        """Take the units of stopped instances out of fleet."""
        units = self._fleet.units()
        for instance in instances:
            for name in (instance.announce, instance.app):
                if name in units:
                    self._fleet.destroy(name)

    def _write_route(self, route: str) -> None:
        index = self._keys.write_route(route)
        self._progress("route written")
        self._await_routers(index)

    def _start(
        self, view: View, instances: tuple[InstanceId, ...], release: Release | None
    ) -> None:
        for instance in instances:
            if not view.instance(instance).is_dead:
                # Starting a name that is still stopping races in fleet and systemd.
                self._await_dead(instances)
                break
        for instance in instances:
            self._progress(f"{instance}: starting")
            seen = view.instance(instance)
            self._launch(instance.app, seen.app, release.app if release else None)
        for instance in instances:
            seen = view.instance(instance)
            self._launch(instance.announce, seen.announce, release.announce if release else None)
            self.started.add(instance)

    def _launch(self, name: str, unit: Unit | None, options: tuple[Option, ...] | None) -> None:
        if unit is None:
            if options is None:
                raise RolloutFailed(f"unit {name} is gone from fleet and can't be brought back")
            self._fleet.create(name, options, DesiredState.LAUNCHED)
        elif options is not None and unit.options != options:
            self._fleet.create(name, options, DesiredState.LAUNCHED)  # refuses, and says why
        else:
            self._fleet.set_desired(name, DesiredState.LAUNCHED)

    def _await(self, instances: tuple[InstanceId, ...]) -> None:
        """Until all are ready. Raises InstanceFailed as soon as one can't be any more."""
        began = self._clock.now()
        patience = Patience(self._clock, self._progress)
        nudge = _Every(self._clock, NUDGE_AFTER)
        told: set[InstanceId] = set()
        revived: set[str] = set()
        while True:
            view = self._observer.look()
            for instance in instances:
                seen = view.instance(instance)
                if seen.is_ready and instance not in told and seen.announced is not None:
                    self._progress(f"{instance}: ready on {seen.announced.node}")
                    told.add(instance)
            pending = [i for i in instances if not view.instance(i).is_ready]
            if not pending or not all(view.instance(i).is_launched for i in pending):
                return  # done, or somebody changed the units: plan again
            waited = self._clock.now() - began
            nudging = nudge.is_due()
            for instance in pending:
                seen = view.instance(instance)
                unscheduled = seen.app is not None and not seen.machine_id
                if seen.app is not None and unscheduled and waited >= UNSCHEDULABLE_AFTER:
                    obstacle = why_unscheduled(view, seen.app)
                    if obstacle is not None:
                        raise InstanceFailed(instance, obstacle)
                if waited >= self._start_timeout:
                    reason = why_not_ready(view, instance)
                    raise InstanceFailed(instance, f"{reason} ({waited:.0f} s after its start)")
                for unit, states in (
                    (seen.app, seen.app_states),
                    (seen.announce, seen.announce_states),
                ):
                    if unit is None:
                        continue
                    if any(state.is_failed for state in states):
                        if unit.name in revived:
                            raise InstanceFailed(instance, why_not_ready(view, instance))
                        revived.add(unit.name)
                        self._revive(unit.name)
                    elif nudging and not states:
                        self._fleet.set_desired(unit.name, DesiredState.LAUNCHED)
            patience.waiting_for(f"{pending[0]}: {why_not_ready(view, pending[0])}")
            self._lock.pause(PAUSE)

    def _revive(self, name: str) -> None:
        """fleet leaves a unit that failed in systemd alone for as long as it is `launched`
        (coreos/fleet#1091): it must see `loaded` in between."""
        self._progress(f"{name} failed in systemd: starting it again")
        self._fleet.set_desired(name, DesiredState.LOADED)
        deadline = self._clock.now() + STOP_MARGIN
        while self._clock.now() < deadline:
            unit = self._fleet.unit(name)
            if unit is None or unit.current is DesiredState.LOADED:
                break
            self._lock.pause(PAUSE)
        self._fleet.set_desired(name, DesiredState.LAUNCHED)

    def stop(self, instances: tuple[InstanceId, ...]) -> None:
        """Out of the routing, drained, dead, unloaded: in this order."""
        for instance in instances:
            self._progress(f"{instance}: draining")
        self._set_loaded(instance.announce for instance in instances)
        timeout = self._drain + STOP_MARGIN
        silent = self._until(
            instances,
            lambda i: i.announced is None and all(state.is_dead for state in i.announce_states),
            timeout=timeout,
        )
        still = [str(i) for i in instances if i not in silent and self._is_announced(i)]
        if still:
            raise RolloutFailed(
                f"{', '.join(still)} is still announced {timeout:.0f} s after its "
                "sidekick was told to stop; look at the sidekick's log, then run this again"
            )
        self._await_routers(self._keys.touch(), somebody=False)
        self._set_loaded(instance.app for instance in instances)
        self._await_dead(instances)
        units = self._fleet.units()
        for instance in instances:
            for name in (instance.announce, instance.app):
                if name in units and units[name].desired is not DesiredState.INACTIVE:
                    self._fleet.set_desired(name, DesiredState.INACTIVE)
        self._until(instances, lambda i: not i.app_states and not i.announce_states, timeout=30.0)
        for instance in instances:
            self._progress(f"{instance}: stopped")

    def _set_loaded(self, names: Iterable[str]) -> None:
        """Stop units and keep their files: `inactive` would take the file away from under a unit
        that is still stopping, and its ExecStopPost with it (coreos/fleet#1000)."""
        units = self._fleet.units()
        for name in names:
            if name in units and units[name].desired is DesiredState.LAUNCHED:
                self._fleet.set_desired(name, DesiredState.LOADED)

    def _await_dead(self, instances: tuple[InstanceId, ...]) -> None:
        timeout = self._drain + STOP_MARGIN
        dead = self._until(instances, lambda i: i.is_dead, timeout=timeout)
        for instance in instances:
            if instance not in dead:
                # Most likely its machine died: fleet stops it when the machine comes back.
                self._progress(f"{instance}: no sign of its end in {timeout:.0f} s, going on")

    def _is_announced(self, instance: InstanceId) -> bool:
        return instance.key in self._keys.read().instances

    def _until(
        self,
        instances: tuple[InstanceId, ...],
        condition: Callable[[Instance], bool],
        *,
        timeout: float,
    ) -> set[InstanceId]:
        """Wait until `condition` holds for all; returns those for which it does."""
        deadline = self._clock.now() + timeout
        while True:
            view = self._observer.look()
            done = {i for i in instances if condition(view.instance(i))}
            if len(done) == len(instances) or self._clock.now() >= deadline:
                return done
            self._lock.pause(PAUSE)

    def _await_routers(self, index: int, *, somebody: bool = True) -> None:
        """Until every living router has applied `index`; without `somebody`, none is fine."""
        deadline = self._clock.now() + ROUTERS_PATIENCE
        while True:
            routers = self._observer.routers()
            if have_applied(routers, index) or (not routers and not somebody):
                return
            if self._clock.now() >= deadline:
                raise RolloutFailed(laggards(routers, index))
            self._lock.pause(PAUSE)


class _Every:
    """True once every `seconds`, the first time after `seconds`."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._last = clock.now()

    def is_due(self) -> bool:
        if self._clock.now() - self._last < self._seconds:
            return False
        self._last = self._clock.now()
        return True
