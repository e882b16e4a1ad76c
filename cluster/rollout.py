"""Carries out the steps of `plan`: starts instances, waits for them, drains and stops them.

It never judges by fleet's exit codes or its desired state; only what is announced, seen by the
routers, or dead in systemd counts. An instance's sidekick does the draining: it takes its key away
and waits before it ends, so the sidekick is always stopped first and the app after it.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster.clock import Clock
from cluster.errors import ClusterError
from cluster.explain import why_not_ready, why_unscheduled
from cluster.fleet import DesiredState, Fleet, Unit
from cluster.lock import Lock
from cluster.plan import Await, Done, Start, Stop, Target, WriteRoute, next_step
from cluster.progress import Patience, Progress
from cluster.release import InstanceId, Release
from cluster.routers import have_applied, laggards
from cluster.service_keys import ServiceKeys
from cluster.view import Observer, View

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
                    self._stop(instances)
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
