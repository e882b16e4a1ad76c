"""Waits until started instances are ready, or finds out why they can't be.

Ready is what clients would notice: announced by the sidekick, which found it healthy, and loaded by
every router. fleet's `launched` and systemd's `active` are only steps on the way.
"""

from __future__ import annotations

from clients.clock import Clock
from clients.errors import ClusterError
from clients.etcd.lock import Lock
from clients.fleet import DesiredState, Fleet, Unit, UnitState
from clients.fleet.wake import Nudge
from clients.progress import Patience, Progress
from cluster.rollout.diagnosis import why_not_ready, why_unscheduled
from cluster.rollout.observed import Instance, Observer, View
from cluster.rollout.release import InstanceId

PAUSE = 0.5
# The engine looks for machines every 10 s at least.
UNSCHEDULABLE_AFTER = 15.0
FLEET_NOTICES = 150.0  # agent_ttl and a round of the engine
PREPARATION_LIMIT = 600.0  # for its image, and secrets; the same as the unit's TimeoutStartSec
_RELOAD_PATIENCE = 60.0


class RolloutFailed(ClusterError):
    """The service could not get to where it should be; what served before still serves."""


class InstanceFailed(RolloutFailed):
    """An instance did not become ready."""

    def __init__(self, instance: InstanceId, reason: str) -> None:
        super().__init__(f"{instance} did not become ready: {reason}")
        self.instance = instance


class _Wait:
    """How long an instance has had to become ready, on the machine where it is now."""

    def __init__(self, machine_id: str, began: float) -> None:
        self.seconds = 0.0
        self.preparing = 0.0  # of it for the image, which does not count
        self._machine_id = machine_id
        self._looked = began

    def look(self, instance: Instance, now: float) -> None:
        """Count the time since the last look. On another machine it begins anew."""
        if self._machine_id and instance.machine_id != self._machine_id:
            self.seconds = self.preparing = 0.0
        elif instance.is_preparing:
            self.preparing += now - self._looked
        else:
            self.seconds += now - self._looked
        self._machine_id, self._looked = instance.machine_id, now


class Arrival:
    """Some instances on their way from `launched` to ready."""

    def __init__(
        self,
        instances: tuple[InstanceId, ...],
        *,
        fleet: Fleet,
        observer: Observer,
        lock: Lock,
        clock: Clock,
        progress: Progress,
        timeout: float,
    ) -> None:
        self._instances = instances
        self._fleet = fleet
        self._observer = observer
        self._lock = lock
        self._clock = clock
        self._progress = progress
        self._timeout = timeout
        self._began = clock.now()
        self._nudge = Nudge(fleet, clock)
        self._waits: dict[InstanceId, _Wait] = {}
        self._told: set[InstanceId] = set()
        self._revived: set[str] = set()
        self._recovering: set[str] = set()  # revived, and still failed when last seen

    def wait(self) -> None:
        """Until all are ready, or somebody stopped them meanwhile. Raises InstanceFailed as soon
        as one can't become ready any more."""
        patience = Patience(self._clock, self._progress)
        while True:
            view = self._observer.look()
            self._tell(view)
            pending = [i for i in map(view.instance, self._instances) if not i.is_ready]
            if not pending or not all(instance.is_launched for instance in pending):
                return
            for instance in pending:
                self._give_up_if_hopeless(view, instance)
                self._help(view, instance)
            patience.waiting_for(f"{pending[0].id}: {why_not_ready(view, pending[0].id)}")
            self._lock.pause(PAUSE)

    def _tell(self, view: View) -> None:
        for instance in map(view.instance, self._instances):
            if instance.is_ready and instance.announced and instance.id not in self._told:
                self._progress(f"{instance.id}: ready on {instance.announced.node}")
                self._told.add(instance.id)

    def _give_up_if_hopeless(self, view: View, instance: Instance) -> None:
        wait = self._waits.setdefault(instance.id, _Wait(instance.machine_id, self._began))
        wait.look(instance, self._clock.now())
        if wait.seconds >= UNSCHEDULABLE_AFTER and instance.app and not instance.machine_id:
            obstacle = why_unscheduled(view, instance.app)
            if obstacle is not None:
                raise InstanceFailed(instance.id, obstacle)
        # fleet may have chosen a machine that it does not know to be gone
        patience = self._timeout + (FLEET_NOTICES if instance.is_lost else 0.0)
        if wait.seconds >= patience or wait.preparing >= PREPARATION_LIMIT:
            reason = why_not_ready(view, instance.id)
            total = wait.seconds + wait.preparing
            raise InstanceFailed(instance.id, f"{reason} ({total:.0f} s after its start)")

    def _help(self, view: View, instance: Instance) -> None:
        """fleet overlooks new units, and leaves failed ones alone."""
        parts = ((instance.app, instance.app_states), (instance.announce, instance.announce_states))
        for unit, states in parts:
            if unit is None:
                continue
            if not any(state.is_failed for state in states):
                self._recovering.discard(unit.name)
            elif unit.name not in self._revived:
                self._revive(unit)
            elif unit.name not in self._recovering:
                raise InstanceFailed(instance.id, why_not_ready(view, instance.id))
        overlooked = self._overlooked(*parts)
        if overlooked is not None:
            self._nudge.repeat(overlooked.name, DesiredState.LAUNCHED)

    def _overlooked(self, *parts: tuple[Unit | None, tuple[UnitState, ...]]) -> Unit | None:
        """The first unit that its machine has not taken up yet."""
        for unit, states in parts:
            if unit is not None and (not states or unit.name in self._recovering):
                return unit
        return None

    def _revive(self, unit: Unit) -> None:
        """While a unit is `launched`, fleet does nothing about its failure in systemd
        (coreos/fleet#1091): it must have been `loaded` in between."""
        self._progress(f"{unit.name} failed in systemd: starting it again")
        self._revived.add(unit.name)
        self._recovering.add(unit.name)
        self._fleet.set_desired(unit.name, DesiredState.LOADED)
        deadline = self._clock.now() + _RELOAD_PATIENCE
        while self._clock.now() < deadline:
            now = self._fleet.unit(unit.name)
            if now is None or now.current is DesiredState.LOADED:
                break
            self._lock.pause(PAUSE)
        self._fleet.set_desired(unit.name, DesiredState.LAUNCHED)
