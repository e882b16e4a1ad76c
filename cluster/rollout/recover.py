"""The verb `settle`: undoes what a rollout or a removal began and no program is at work on.

The engine was killed, the connection lost, the machine that rolled out died, or a failed change
could not be undone at once. Pulumi's state then says what it said before, so the service goes back
to that, too: the release that was finished last, its number of instances, its route. A service that
never had a finished release goes as a whole.
"""

from __future__ import annotations

from clients.clock import Clock
from clients.errors import ClusterError
from clients.etcd import Etcd, EtcdError
from clients.etcd.lock import Lock, LockTaken
from clients.fleet import Fleet
from clients.progress import Progress
from clients.rollout_marks import Unfinished, unfinished_services
from clients.service_store import ServiceKeys
from cluster.rollout.executor import Rollout
from cluster.rollout.observed import Observer
from cluster.rollout.undo import undo

LONGEST_DRAIN = 300.0
"""Seconds; a sidekick knows its own drain time, this is how long we wait for one at most."""
START_TIMEOUT = 45.0
"""Seconds for instances to become ready. Short: the next look comes soon, and others wait."""


def settle(*, etcd: Etcd, fleet: Fleet, clock: Clock, progress: Progress, holder: str) -> None:
    """Settle every service that needs it. Raises ClusterError for those that could not be."""
    failures = []
    for service in unfinished_services(etcd):
        try:
            with Lock(
                etcd, service, holder=holder, clock=clock, progress=progress, patience=0
            ) as lock:
                _Settle(service, etcd, fleet, clock, progress, lock).run()
        except LockTaken:
            continue  # a rollout is at work
        except (ClusterError, EtcdError) as failure:
            failures.append(f"{service}: {failure}")
    if failures:
        raise ClusterError("; ".join(failures))


class _Settle:
    """One service, under its lock."""

    def __init__(
        self,
        service: str,
        etcd: Etcd,
        fleet: Fleet,
        clock: Clock,
        progress: Progress,
        lock: Lock,
    ) -> None:
        self._service = service
        self._clock = clock
        self._progress = progress
        self._keys = ServiceKeys(etcd, service)
        self._unfinished = Unfinished(etcd, service, clock)
        self._observer = Observer(etcd, fleet, self._keys, service)
        self._rollout = Rollout(
            fleet=fleet,
            keys=self._keys,
            observer=self._observer,
            lock=lock,
            clock=clock,
            progress=progress,
            drain=LONGEST_DRAIN,
            start_timeout=START_TIMEOUT,
        )

    def run(self) -> None:
        is_marked, before = self._unfinished.take_over(self._observer.look())
        if not is_marked:
            return  # it came to its end before the lock was ours
        to = f"going back to release {before.entry.release}" if before else "removing it"
        self._progress(f"{self._service}: a change of it failed or was interrupted, {to}")
        undo(
            self._service,
            before,
            rollout=self._rollout,
            keys=self._keys,
            observer=self._observer,
            clock=self._clock,
        )
        self._unfinished.end(lambda: True)
        self._progress(
            f"{self._service}: release {before.entry.release} serves"
            if before
            else f"{self._service}: removed"
        )
