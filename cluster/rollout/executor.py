"""Carries out the steps of `reconcile`: starts instances, waits for them, drains and stops them.

A step is done when instances are announced, applied by the routers, or dead in systemd; fleet's
desired state proves nothing. An instance's sidekick drains: it deletes its key and waits before it
ends. So the sidekick is always stopped first, the application after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from clients.etcd.lock import Lock
from clients.fleet import DesiredState, Unit
from clients.fleet.wake import FleetWaker
from clients.routers import Router, have_applied, routers_behind
from clients.service_store import ServiceKeys
from clients.waiting import TimedOut, wait_until
from cluster.context import ClusterContext
from cluster.rollout.observed import Instance, ObservedService, Observer
from cluster.rollout.readiness import PAUSE, Readiness, RolloutFailed
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

MOST_REPEATS = 5  # of one step in a row
STOP_MARGIN = 60.0  # a container's time to stop, plus the delay of fleet's loops
RESCUES = 3  # of drained instances whose replacements failed
ROUTERS_PATIENCE = 30.0  # the report of a router that hangs expires after 15 s


class Executor:
    """Brings one service to a target, under the service's lock."""

    def __init__(
        self,
        context: ClusterContext,
        service: str,
        lock: Lock,
        *,
        drain: float,
        start_timeout: float,
    ) -> None:
        self.service = service
        self.store = ServiceKeys(context.etcd, service)
        self.context = context
        self._fleet = context.fleet
        self._progress = context.progress
        self._observer = Observer(context, service)
        self._lock = lock
        self._drain = drain
        self._start_timeout = start_timeout
        self._rescues = 0

    def look(self) -> ObservedService:
        """The current state of the service."""
        return self._observer.look()

    def routers(self) -> tuple[Router, ...]:
        """The routers that are alive."""
        return self._observer.routers()

    def converge(self, target: Target, release: Release | None = None) -> None:
        """Take step after step until the service is at `target`. `release` holds the contents of
        units that fleet does not have yet. Raises RolloutFailed."""
        before: Step | None = None
        repeated = 0
        while True:
            view = self.look()
            step = next_step(view, target)
            repeated = repeated + 1 if step == before else 0
            if repeated > MOST_REPEATS:
                raise RolloutFailed(f"{target.service} makes no progress: {step} has no effect")
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
        """Delete the units of stopped instances from fleet, once their nodes have unloaded them."""
        surplus = tuple(instances)
        self._until(
            surplus,
            lambda i: i.is_lost or not (i.app_states or i.announce_states),
            patience=STOP_MARGIN,
        )
        units = self._fleet.units()
        names = [name for one in surplus for name in (one.announce, one.app)]
        self._fleet.destroy([name for name in names if name in units])

    def withdraw_route(self) -> None:
        """No new requests reach the service; open requests and connections continue."""
        self.store.delete_route()
        self._await_routers(self.store.touch(), needs_router=False)

    def _write_route(self, route: str) -> None:
        index = self.store.write_route(route)
        self._progress("route written")
        self._await_routers(index)

    def _submit(self, view: ObservedService, target: Target, release: Release | None) -> None:
        """Create every unit of the target in fleet, before the first of them is started."""
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

    def _start(self, view: ObservedService, instances: tuple[InstanceId, ...]) -> None:
        """Launch the instances; those that are still stopping must be dead first, for fleet and
        systemd would race. One whose drain was interrupted runs, and only lacks its sidekick."""
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
        Readiness(
            self.context, self._observer, self._lock, instances, timeout=self._start_timeout
        ).wait()

    def _stop(self, instances: tuple[InstanceId, ...], target: Target | None) -> None:
        """Take instances out of the routing, drain, stop and unload them, in this order. With a
        target, stop only those that other instances still replace after the drain."""
        for instance in instances:
            self._progress(f"{instance}: draining")
        self._set_loaded(instance.announce for instance in instances)
        self._await_drained(instances)
        self._await_routers(self.store.touch(), needs_router=False, without=instances)
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
        """A last look before instances stop: some may have to serve again."""
        needed = needed_again(self.look(), target, drained)
        if not needed:
            return drained
        self._rescues += 1
        if self._rescues > RESCUES:
            raise RolloutFailed(f"{target.service}: new instances do not stay ready")
        self._progress(f"{', '.join(map(str, needed))}: needed again, because others failed")
        self._launch(needed)
        return tuple(instance for instance in drained if instance not in needed)

    def _set_loaded(self, names: Iterable[str]) -> None:
        """Stop units and keep their files: `inactive` would take the file away from under a unit
        that is still stopping, and its ExecStopPost with it (coreos/fleet#1000)."""
        units = self._fleet.units()
        for name in names:
            if name in units and units[name].desired is DesiredState.LAUNCHED:
                self._fleet.set_desired(name, DesiredState.LOADED)

    def _await_drained(self, instances: tuple[InstanceId, ...]) -> None:
        """Wait until the sidekicks have deleted their keys, drained and ended."""
        patience = self._drain + STOP_MARGIN
        drained = self._until(
            instances,
            lambda i: i.is_lost or (i.announced is None and i.is_sidekick_dead),
            patience=patience,
        )
        announced = self.store.read().instances if len(drained) < len(instances) else {}
        still = [str(i) for i in instances if i not in drained and i.key in announced]
        if still:
            raise RolloutFailed(
                f"{', '.join(still)} is still announced {patience:.0f} s after its "
                "sidekick was stopped; look at the sidekick's log, then run this again"
            )

    def _await(
        self, instances: tuple[InstanceId, ...], condition: Callable[[Instance], bool]
    ) -> None:
        """Wait until `condition` says that the instances have stopped. A slower instance does no
        harm: no router uses it any more, and fleet stops it when it can."""
        patience = self._drain + STOP_MARGIN
        stopped = self._until(instances, condition, patience=patience)
        for instance in instances:
            if instance not in stopped:
                self._progress(f"{instance}: has not stopped in {patience:.0f} s, going on")

    def _until(
        self,
        instances: tuple[InstanceId, ...],
        condition: Callable[[Instance], bool],
        *,
        patience: float,
    ) -> set[InstanceId]:
        """Wait until `condition` holds for all; returns those for which it does."""
        done: set[InstanceId] = set()
        waker = FleetWaker(self._fleet, self.context.clock)

        def holds_for_all() -> str | None:
            view = self.look()
            done.clear()
            done.update(i for i in instances if condition(view.instance(i)))
            waiting = [view.instance(i) for i in instances if i not in done]
            for unit in (unit for instance in waiting for unit in _overdue(instance)):
                waker.repeat(unit.name, unit.desired)
            return ", ".join(str(instance.id) for instance in waiting)

        with suppress(TimedOut):
            wait_until(
                holds_for_all,
                patience=patience,
                pause=PAUSE,
                clock=self.context.clock,
                lock=self._lock,
            )
        return done

    def _await_routers(
        self, index: int, *, needs_router: bool = True, without: tuple[InstanceId, ...] = ()
    ) -> None:
        """Wait until every living router has applied `index` and keeps no instance of `without`
        (a router keeps instances for a while after an outage of etcd)."""
        keys = {instance_key(instance.service, instance.key) for instance in without}

        def obstacle() -> str | None:
            routers = self.routers()
            if not have_applied(routers, index) and (routers or needs_router):
                return routers_behind(routers, index)
            for router in routers:
                if keys.intersection(router.kept):
                    return f"the router on {router.node} still sends clients to what is to stop"
            return None

        wait_until(
            obstacle,
            patience=ROUTERS_PATIENCE,
            pause=PAUSE,
            clock=self.context.clock,
            lock=self._lock,
            give_up=RolloutFailed,
        )


def _overdue(instance: Instance) -> Iterator[Unit]:
    """Units that should stop or be unloaded, and whose node has not begun."""
    parts = ((instance.announce, instance.announce_states), (instance.app, instance.app_states))
    for unit, states in parts:
        if unit is None or unit.desired is DesiredState.LAUNCHED or not states:
            continue
        if unit.desired is DesiredState.INACTIVE or any(state.is_running for state in states):
            yield unit
