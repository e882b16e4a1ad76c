"""Waits until started instances are ready, or finds out why they can't become so.

Ready means that clients reach the instance: its sidekick found it healthy and announced it, and
every router has applied that. fleet's `launched` and systemd's `active` come earlier.
"""

from __future__ import annotations

import math
from contextlib import suppress

from clients.errors import ClusterError
from clients.etcd.lock import Lock
from clients.fleet import DesiredState, Unit, UnitState
from clients.fleet.wake import FleetWaker
from clients.waiting import TimedOut, wait_until
from cluster.context import ClusterContext
from cluster.rollout.diagnosis import why_not_ready, why_unscheduled
from cluster.rollout.observed import Instance, ObservedService, Observer
from cluster.rollout.release import InstanceId

PAUSE = 0.5
# fleet's engine schedules units every 10 s at least.
UNSCHEDULABLE_AFTER = 15.0
FLEET_NOTICES = 150.0  # agent_ttl and a round of the engine
PREPARATION_LIMIT = 600.0  # for its image and secrets; the unit's TimeoutStartSec
_RELOAD_PATIENCE = 60.0


class RolloutFailed(ClusterError):
    """The service could not reach its target; what served before still serves."""


class InstanceFailed(RolloutFailed):
    """An instance did not become ready."""

    def __init__(self, instance: InstanceId, reason: str) -> None:
        super().__init__(f"{instance} did not become ready: {reason}")
        self.instance = instance


class _Start:
    """The time since an instance was started on its node."""

    def __init__(self, machine_id: str, began: float) -> None:
        self.seconds = 0.0
        self.preparing = 0.0  # pulling the image, which does not count
        self._machine_id = machine_id
        self._looked = began

    def look(self, instance: Instance, now: float) -> None:
        """Add the time since the last look. On another node it starts again."""
        if self._machine_id and instance.machine_id != self._machine_id:
            self.seconds = self.preparing = 0.0
        elif instance.is_preparing:
            self.preparing += now - self._looked
        else:
            self.seconds += now - self._looked
        self._machine_id, self._looked = instance.machine_id, now


class Readiness:
    """Some instances on their way from `launched` to ready."""

    def __init__(
        self,
        context: ClusterContext,
        observer: Observer,
        lock: Lock,
        instances: tuple[InstanceId, ...],
        *,
        timeout: float,
    ) -> None:
        self._instances = instances
        self._fleet = context.fleet
        self._observer = observer
        self._lock = lock
        self._clock = context.clock
        self._progress = context.progress
        self._timeout = timeout
        self._began = self._clock.now()
        self._waker = FleetWaker(self._fleet, self._clock)
        self._starts: dict[InstanceId, _Start] = {}
        self._reported: set[InstanceId] = set()
        self._restarted: set[str] = set()
        self._recovering: set[str] = set()  # restarted, and still failed when last seen

    def wait(self) -> None:
        """Wait until all are ready, or one was stopped meanwhile. Raises InstanceFailed as soon
        as one can't become ready any more."""
        wait_until(
            self._pending,
            patience=math.inf,  # each instance has its own
            pause=PAUSE,
            clock=self._clock,
            lock=self._lock,
            progress=self._progress,
        )

    def _pending(self) -> str | None:
        view = self._observer.look()
        self._report(view)
        pending = [i for i in map(view.instance, self._instances) if not i.is_ready]
        if not pending or not all(instance.is_launched for instance in pending):
            return None
        for instance in pending:
            self._give_up_if_hopeless(view, instance)
            self._help(view, instance)
        return f"{pending[0].id}: {why_not_ready(view, pending[0].id)}"

    def _report(self, view: ObservedService) -> None:
        for instance in map(view.instance, self._instances):
            if instance.is_ready and instance.announced and instance.id not in self._reported:
                self._progress(f"{instance.id}: ready on {instance.announced.node}")
                self._reported.add(instance.id)

    def _give_up_if_hopeless(self, view: ObservedService, instance: Instance) -> None:
        start = self._starts.setdefault(instance.id, _Start(instance.machine_id, self._began))
        start.look(instance, self._clock.now())
        if start.seconds >= UNSCHEDULABLE_AFTER and instance.app and not instance.machine_id:
            obstacle = why_unscheduled(view, instance.app)
            if obstacle is not None:
                raise InstanceFailed(instance.id, obstacle)
        # fleet may have chosen a node of which it does not know yet that it is gone
        patience = self._timeout + (FLEET_NOTICES if instance.is_lost else 0.0)
        if start.seconds >= patience or start.preparing >= PREPARATION_LIMIT:
            reason = why_not_ready(view, instance.id)
            total = start.seconds + start.preparing
            raise InstanceFailed(instance.id, f"{reason} ({total:.0f} s after its start)")

    def _help(self, view: ObservedService, instance: Instance) -> None:
        """fleet overlooks new units, and does not restart failed ones."""
        parts = ((instance.app, instance.app_states), (instance.announce, instance.announce_states))
        for unit, states in parts:
            if unit is None:
                continue
            if not any(state.is_failed for state in states):
                self._recovering.discard(unit.name)
            elif unit.name not in self._restarted:
                self._restart(unit)
            elif unit.name not in self._recovering:
                raise InstanceFailed(instance.id, why_not_ready(view, instance.id))
        overlooked = self._overlooked(*parts)
        if overlooked is not None:
            self._waker.repeat(overlooked.name, DesiredState.LAUNCHED)

    def _overlooked(self, *parts: tuple[Unit | None, tuple[UnitState, ...]]) -> Unit | None:
        """The first unit that its node has not begun to start."""
        for unit, states in parts:
            if unit is not None and (not states or unit.name in self._recovering):
                return unit
        return None

    def _restart(self, unit: Unit) -> None:
        """While a unit is `launched`, fleet does nothing about its failure in systemd
        (coreos/fleet#1091): it must have been `loaded` in between."""
        self._progress(f"{unit.name} failed in systemd: starting it again")
        self._restarted.add(unit.name)
        self._recovering.add(unit.name)
        self._fleet.set_desired(unit.name, DesiredState.LOADED)
        with suppress(TimedOut):
            wait_until(
                lambda: None if self._is_loaded(unit.name) else f"{unit.name} to be loaded",
                patience=_RELOAD_PATIENCE,
                pause=PAUSE,
                clock=self._clock,
                lock=self._lock,
            )
        self._fleet.set_desired(unit.name, DesiredState.LAUNCHED)

    def _is_loaded(self, unit: str) -> bool:
        now = self._fleet.unit(unit)
        return now is None or now.current is DesiredState.LOADED
