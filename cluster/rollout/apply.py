"""The verb `apply`: one service gets to the state that was asked for, or stays as it was.

lock → mark → (per instance: start new, wait until ready, drain and stop one old) → ledger → prune →
mark deleted, which is when it counts. A failure before that is undone, whatever was to be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from clients.clock import Clock, timestamp
from clients.errors import ClusterError, Interrupted
from clients.etcd import Etcd
from clients.etcd.lock import Lock
from clients.fleet import Fleet
from clients.progress import Progress
from clients.registry import Registry
from clients.rollout_marks import Before, Unfinished
from clients.routers import left_out
from clients.service_store import LedgerEntry, ServiceKeys
from cluster.rollout.executor import Rollout
from cluster.rollout.observed import Observer, View
from cluster.rollout.prune import prune
from cluster.rollout.readiness import RolloutFailed
from cluster.rollout.reconcile import Done, Target, next_step
from cluster.rollout.release import Release, make_release
from cluster.rollout.undo import undo
from contract.codec import encode
from contract.keys import SERVICES
from contract.requests import ApplyService


def apply(
    wanted: ApplyService,
    *,
    etcd: Etcd,
    fleet: Fleet,
    registry: Registry,
    clock: Clock,
    progress: Progress,
    holder: str,
) -> None:
    """Roll `wanted` out. Raises ClusterError; the release before serves then."""
    digest = registry.resolve(wanted.image_name)
    release = make_release(wanted, digest)
    target = Target(
        service=wanted.name,
        release=release.id,
        instances=wanted.instances,
        route=encode(wanted.route),
    )
    keys = ServiceKeys(etcd, wanted.name)
    observer = Observer(etcd, fleet, keys, wanted.name)
    unfinished = Unfinished(etcd, wanted.name, clock)
    if not unfinished.exists() and is_unchanged(observer.look(), target):
        progress(f"{wanted.name}: unchanged (release {release.id}, {wanted.instances} instances)")
        return
    try:
        with Lock(etcd, wanted.name, holder=holder, clock=clock, progress=progress) as lock:
            rollout = Rollout(
                fleet=fleet,
                keys=keys,
                observer=observer,
                lock=lock,
                clock=clock,
                progress=progress,
                drain=wanted.drain,
                start_timeout=wanted.start_timeout,
            )
            pruner = partial(prune, observer, fleet, keys, keep=wanted.keep, progress=progress)
            _Apply(
                release, target, keys, unfinished, observer, rollout, pruner, clock, progress
            ).run()
    except Interrupted:
        if not unfinished.has_counted():
            raise


def is_unchanged(view: View, target: Target) -> bool:
    """Whether nothing is left to do, down to the ledger."""
    entry = view.record.ledger.get(target.release)
    return (
        isinstance(next_step(view, target), Done)
        and view.record.current == target.release
        and entry is not None
        and entry.outcome == "serving"
        and entry.instances == target.instances
    )


class _Apply:
    """One rollout under its lock."""

    def __init__(
        self,
        release: Release,
        target: Target,
        keys: ServiceKeys,
        unfinished: Unfinished,
        observer: Observer,
        rollout: Rollout,
        prune: Callable[[], None],
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._release = release
        self._target = target
        self._keys = keys
        self._unfinished = unfinished
        self._observer = observer
        self._rollout = rollout
        self._prune = prune
        self._clock = clock
        self._progress = progress

    def run(self) -> None:
        before = self._unfinished.begin("apply", self._observer.look())
        entry = LedgerEntry(
            release=self._release.id,
            image=self._release.image,
            digest=self._release.digest,
            instances=self._target.instances,
            route=self._target.route or "",
            started=timestamp(self._clock),
        )
        self._keys.make_directories()
        self._progress(
            f"{self._release.service}: release {self._release.id} of {self._release.image}, "
            f"{self._target.instances} instances"
        )
        is_new = before is None or before.entry.release != entry.release
        if is_new:
            self._keys.write_ledger(entry)
        try:
            self._rollout.converge(self._target, self._release)
        except RolloutFailed as failure:
            self._progress(f"{failure}")
            failed = self._ended(entry, f"failed: {failure}") if is_new else None
            raise ClusterError(f"{failure}; {self._go_back(before, failed)}") from failure
        self._end(before, self._ended(entry, "serving"))

    def _end(self, before: Before | None, entry: LedgerEntry) -> None:
        """All of it stands. Up to the last request it can still be undone."""
        if before is not None and before.entry.release != entry.release:
            self._keys.write_ledger(replace(before.entry, outcome="replaced"))
        self._keys.write_ledger(entry)
        self._keys.write_current(entry.release)
        self._prune()
        # a host or a port that is another's may become ours later: told, and no failure
        for line in left_out(f"{SERVICES}/{self._release.service}/", self._observer.routers()):
            self._progress(f"{self._release.service}: {line}")
        self._unfinished.end(lambda: self._keys.read().ledger.get(entry.release) == entry)
        self._progress(f"{self._release.service}: release {entry.release} serves")

    def _go_back(self, before: Before | None, failed: LedgerEntry | None) -> str:
        """Undo all of it. Returns how it stands now."""
        if failed is not None:
            self._keys.write_ledger(failed)
        try:
            undo(
                self._release.service,
                before,
                rollout=self._rollout,
                keys=self._keys,
                observer=self._observer,
                clock=self._clock,
            )
        except RolloutFailed as failure:
            return (
                f"going back failed, too: {failure}. What is ready still serves, and the cluster "
                "tries again every minute; see `journalctl -u rollout-settle` on the nodes"
            )
        if before is None and failed is not None:
            self._keys.leave_a_note(failed)
        self._unfinished.end(lambda: True)
        if before is None:
            return "its units are removed; no release before it was finished"
        if failed is None:
            return (
                f"going back is done: {before.entry.instances} instances of release "
                f"{before.entry.release} keep serving, with the route from before"
            )
        return f"its units are removed; release {before.entry.release} keeps serving"

    def _ended(self, entry: LedgerEntry, outcome: str) -> LedgerEntry:
        return replace(entry, finished=timestamp(self._clock), outcome=outcome)
