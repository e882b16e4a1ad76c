"""Carries out the steps of `plan`: starts instances, waits for them, drains and stops them.

It never judges by fleet's exit codes or its desired state; only what is announced, seen by the
routers, or dead in systemd counts. An instance's sidekick does the draining: it takes its key away
and waits before it ends, so the sidekick is always stopped first and the app after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from clients.clock import Clock
from clients.etcd.lock import Lock
from clients.fleet import DesiredState, Fleet, Unit
from clients.fleet.wake import Nudge
from clients.progress import Progress
from clients.routers import have_applied, laggards
from clients.service_store import ServiceKeys
from cluster.rollout.observed import Instance, Observer, View
from cluster.rollout.readiness import PAUSE, Arrival, RolloutFailed
from cluster.rollout.reconcile import (
    Await,
    Done,
    Start,
    Step,
    Stop,
    Target,
    WriteRoute,
    needed_again,
    next_step,
)
from cluster.rollout.release import InstanceId, Release
from contract.keys import instance_key

PATIENCE_WITH_A_STEP = 5  # times in a row
STOP_MARGIN = 60.0  # a container's own time to stop, and fleet's loops
RESCUES = 3  # of drained instances whose replacements failed
ROUTERS_PATIENCE = 30.0  # a router that hangs is dead to the others after 15 s


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
        self._rescues = 0

    def converge(self, target: Target, release: Release | None = None) -> None:
        """Take step after step until the service is at `target`. `release` holds the contents of
        units that fleet does not have yet. Raises RolloutFailed."""
        before: Step | None = None
        repeated = 0
        while True:
            view = self._observer.look()
            step = next_step(view, target)
            repeated = repeated + 1 if step == before else 0
            if repeated > PATIENCE_WITH_A_STEP:
                raise RolloutFailed(f"{target.service} gets nowhere: {step} has no effect")
            before = step
            match step:
                case WriteRoute(route=route):
                    self._write_route(route)
                case Start(instances=instances):
                    self._submit(view, target, release)
                    self._start(view, instances)
                case Await(instances=instances):
                    self._await_ready(instances)
                case Stop(instances=instances, is_replaced=is_replaced):
                    self._stop(instances, target if is_replaced else None)
                case Done():
                    return

    def destroy(self, instances: Iterable[InstanceId]) -> None:
        """Take the units of stopped instances out of fleet, once their machines have let go."""
        doomed = tuple(instances)
        self._until(
            doomed,
            lambda i: i.is_lost or not (i.app_states or i.announce_states),
            timeout=STOP_MARGIN,
        )
        units = self._fleet.units()
        names = [name for one in doomed for name in (one.announce, one.app)]
        self._fleet.destroy([name for name in names if name in units])

    def _write_route(self, route: str) -> None:
        index = self._keys.write_route(route)
        self._progress("route written")
        self._await_routers(index)

    def withdraw_route(self) -> None:
        """Nobody new comes to the service; open requests and connections go on."""
        self._keys.delete_route()
        self._await_routers(self._keys.touch(), somebody=False)

    def _submit(self, view: View, target: Target, release: Release | None) -> None:
        """Put every unit of the target into fleet, before the first of them is started."""
        for instance in target.wanted:
            seen = view.instance(instance)
            for name, unit, options in (
                (instance.app, seen.app, release.app if release else None),
                (instance.announce, seen.announce, release.announce if release else None),
            ):
                if options is None and unit is None:
                    raise RolloutFailed(f"unit {name} is gone from fleet and can't be brought back")
                if options is not None and (unit is None or unit.options != options):
                    self._fleet.create(name, options, DesiredState.INACTIVE)

    def _start(self, view: View, instances: tuple[InstanceId, ...]) -> None:
        """Starting a name that is still stopping races in fleet and systemd: those wait, and only
        those. One that was interrupted while it drained runs, and lacks its sidekick only."""
        stopping = tuple(i for i in instances if view.instance(i).is_stopping)
        self._launch(i for i in instances if i not in stopping)
        if stopping:
            self._await(stopping, lambda i: i.is_lost or not i.is_stopping)
            self._launch(stopping)

    def _launch(self, instances: Iterable[InstanceId]) -> None:
        started = tuple(instances)
        for instance in started:
            self._progress(f"{instance}: starting")
            self._fleet.set_desired(instance.app, DesiredState.LAUNCHED)
        for instance in started:
            self._fleet.set_desired(instance.announce, DesiredState.LAUNCHED)

    def _await_ready(self, instances: tuple[InstanceId, ...]) -> None:
        Arrival(
            instances,
            fleet=self._fleet,
            observer=self._observer,
            lock=self._lock,
            clock=self._clock,
            progress=self._progress,
            timeout=self._start_timeout,
        ).wait()

    def _stop(self, instances: tuple[InstanceId, ...], target: Target | None) -> None:
        """Out of the routing, drained, dead, unloaded: in this order. With a target, only those
        that are still replaced after the drain."""
        for instance in instances:
            self._progress(f"{instance}: draining")
        self._set_loaded(instance.announce for instance in instances)
        self._await_silence(instances)
        self._await_routers(self._keys.touch(), somebody=False, without=instances)
        if target is not None:
            instances = self._without_needed(instances, target)
        self._set_loaded(instance.app for instance in instances)
        self._await(instances, lambda i: i.is_dead or i.is_lost)
        units = self._fleet.units()
        for instance in instances:
            for name in (instance.announce, instance.app):
                if name in units and units[name].desired is not DesiredState.INACTIVE:
                    self._fleet.set_desired(name, DesiredState.INACTIVE)
        for instance in instances:
            self._progress(f"{instance}: stopped")

    def _without_needed(
        self, drained: tuple[InstanceId, ...], target: Target
    ) -> tuple[InstanceId, ...]:
        """The last look before instances end for good: some may have to serve again."""
        needed = needed_again(self._observer.look(), target, drained)
        if not needed:
            return drained
        self._rescues += 1
        if self._rescues > RESCUES:
            raise RolloutFailed(f"{target.service}: what is to replace others does not stay well")
        self._progress(f"{', '.join(map(str, needed))}: needed again, others have failed meanwhile")
        self._launch(needed)
        return tuple(instance for instance in drained if instance not in needed)

    def _set_loaded(self, names: Iterable[str]) -> None:
        """Stop units and keep their files: `inactive` would take the file away from under a unit
        that is still stopping, and its ExecStopPost with it (coreos/fleet#1000)."""
        units = self._fleet.units()
        for name in names:
            if name in units and units[name].desired is DesiredState.LAUNCHED:
                self._fleet.set_desired(name, DesiredState.LOADED)

    def _await_silence(self, instances: tuple[InstanceId, ...]) -> None:
        """Until the sidekicks have withdrawn the keys, drained and ended."""
        timeout = self._drain + STOP_MARGIN
        silent = self._until(
            instances,
            lambda i: i.is_lost or (i.announced is None and i.is_sidekick_dead),
            timeout=timeout,
        )
        still = [str(i) for i in instances if i not in silent and self._is_announced(i)]
        if still:
            raise RolloutFailed(
                f"{', '.join(still)} is still announced {timeout:.0f} s after its "
                "sidekick was told to stop; look at the sidekick's log, then run this again"
            )

    def _await(
        self, instances: tuple[InstanceId, ...], condition: Callable[[Instance], bool]
    ) -> None:
        """Until they have ended, as far as `condition` says, or for long enough."""
        timeout = self._drain + STOP_MARGIN
        ended = self._until(instances, condition, timeout=timeout)
        for instance in instances:
            if instance not in ended:
                # The routers have let go of it. fleet stops it when it can.
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
        nudge = Nudge(self._fleet, self._clock)
        while True:
            view = self._observer.look()
            done = {i for i in instances if condition(view.instance(i))}
            if len(done) == len(instances) or self._clock.now() >= deadline:
                return done
            for instance in (view.instance(i) for i in instances if i not in done):
                for unit in _lagging(instance):
                    nudge.repeat(unit.name, unit.desired)
            self._lock.pause(PAUSE)

    def _await_routers(
        self, index: int, *, somebody: bool = True, without: tuple[InstanceId, ...] = ()
    ) -> None:
        """Until every living router has applied `index`, and keeps none of the instances that are
        to stop (as it does for a while after an outage of etcd). If not `somebody`, no router at
        all is fine."""
        deadline = self._clock.now() + ROUTERS_PATIENCE
        keys = {instance_key(instance.service, instance.key) for instance in without}
        while True:
            routers = self._observer.routers()
            keeping = [router for router in routers if keys.intersection(router.kept)]
            has_applied = have_applied(routers, index) or (not routers and not somebody)
            if has_applied and not keeping:
                return
            if self._clock.now() >= deadline:
                raise RolloutFailed(
                    f"the router on {keeping[0].node} still sends clients to what is to stop"
                    if has_applied
                    else laggards(routers, index)
                )
            self._lock.pause(PAUSE)


def _lagging(instance: Instance) -> Iterator[Unit]:
    """Units that are to stop, or to be let go, and whose machine has not begun."""
    parts = ((instance.announce, instance.announce_states), (instance.app, instance.app_states))
    for unit, states in parts:
        if unit is None or unit.desired is DesiredState.LAUNCHED or not states:
            continue
        if unit.desired is DesiredState.INACTIVE or any(state.is_running for state in states):
            yield unit
