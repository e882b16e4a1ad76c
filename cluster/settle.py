"""The verb `settle`: takes back what a rollout began and nobody is at work on any more.

The engine was killed, the connection lost, the machine that rolled out died. Pulumi's state then
says what it said before, so the service goes back to that, too: the release that was finished last
serves, as many instances as then; of what was begun nothing is left. A service that never had a
finished release goes as a whole.
"""

from __future__ import annotations

from dataclasses import replace

from cluster.clock import Clock, timestamp
from cluster.errors import ClusterError
from cluster.etcd import Etcd, EtcdError
from cluster.fleet import Fleet
from cluster.lock import Lock, LockTaken
from cluster.plan import Target
from cluster.progress import Progress
from cluster.rollout import Rollout
from cluster.service_keys import LedgerEntry, ServiceKeys
from cluster.unfinished import Unfinished, unfinished_services
from cluster.view import Observer, View

LONGEST_DRAIN = 300.0
"""Seconds; a sidekick knows its own drain time, this is how long we wait for one at most."""


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
            continue  # somebody is at work
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
        )

    def run(self) -> None:
        begun = self._unfinished.read()
        if begun is None:
            return  # it came to its end before the lock was ours
        view = self._observer.look()
        finished = view.record.ledger.get(view.record.current or "")
        if finished is None:
            self._remove("its first rollout was interrupted")
        elif begun == "remove" and not _has_units(view, _target(self._service, finished)):
            self._remove("its removal was interrupted when it could not be undone any more")
        else:
            self._go_back(finished)
        self._unfinished.clear()

    def _go_back(self, finished: LedgerEntry) -> None:
        self._progress(
            f"{self._service}: a rollout was interrupted, going back to release {finished.release}"
        )
        self._rollout.converge(_target(self._service, finished))
        view = self._observer.look()
        for entry in view.record.ledger.values():
            if entry.release != finished.release and entry.outcome in ("started", "serving"):
                self._rollout.destroy(one for one in view.instances if one.release == entry.release)
                self._end(entry, "failed: interrupted")
        if finished.outcome != "serving":  # the new one was about to take its place
            self._end(finished, "serving")
        self._progress(f"{self._service}: release {finished.release} serves")

    def _end(self, entry: LedgerEntry, outcome: str) -> None:
        ended = timestamp(self._clock)
        self._keys.write_ledger(replace(entry, finished=ended, outcome=outcome))

    def _remove(self, why: str) -> None:
        self._progress(f"{self._service}: {why}, removing it")
        self._rollout.converge(Target(service=self._service))
        self._rollout.destroy(self._observer.look().instances)
        self._keys.delete_all()
        self._progress(f"{self._service}: removed")


def _target(service: str, finished: LedgerEntry) -> Target:
    return Target(
        service=service,
        release=finished.release,
        instances=finished.instances,
        route=finished.route,
    )


def _has_units(view: View, target: Target) -> bool:
    """Whether fleet still knows every unit of it: their contents are nowhere else."""
    return all(len(view.instance(one).units) == 2 for one in target.wanted)
