"""The verb `apply`: one service gets to the state that was asked for, or stays as it was.

lock → ledger → (per instance: start new, wait until ready, drain and stop one old) → ledger →
prune. A failure brings the release before back by the same steps.
"""

from __future__ import annotations

from dataclasses import replace

from cluster.arrival import RolloutFailed
from cluster.clock import Clock, timestamp
from cluster.desired import Service
from cluster.errors import ClusterError
from cluster.etcd import Etcd
from cluster.fleet import Fleet
from cluster.lock import Lock
from cluster.plan import Done, Target, next_step
from cluster.progress import Progress
from cluster.prune import prune
from cluster.registry import Registry
from cluster.release import Release, make_release
from cluster.rollout import Rollout
from cluster.service_keys import LedgerEntry, ServiceKeys
from cluster.unfinished import Unfinished
from cluster.view import Observer, View


def apply(
    wanted: Service,
    *,
    etcd: Etcd,
    fleet: Fleet,
    registry: Registry,
    clock: Clock,
    progress: Progress,
    holder: str,
) -> None:
    """Roll `wanted` out. Raises ClusterError; the release before serves then."""
    digest = registry.resolve(wanted.image)
    release = make_release(wanted, digest)
    target = Target(
        service=wanted.name, release=release.id, instances=wanted.instances, route=wanted.route
    )
    keys = ServiceKeys(etcd, wanted.name)
    observer = Observer(etcd, fleet, keys, wanted.name)
    unfinished = Unfinished(etcd, wanted.name, clock)
    if unfinished.read() is None and is_unchanged(observer.look(), target):
        progress(f"{wanted.name}: unchanged (release {release.id}, {wanted.instances} instances)")
        return
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
        _Apply(release, target, keys, unfinished, observer, rollout, clock, progress).run()
        prune(observer.look(), fleet, keys, keep=wanted.keep, progress=progress)


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
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._release = release
        self._target = target
        self._keys = keys
        self._unfinished = unfinished
        self._observer = observer
        self._rollout = rollout
        self._clock = clock
        self._progress = progress

    def run(self) -> None:
        before = self._observer.look().record
        entry = LedgerEntry(
            release=self._release.id,
            image=self._release.image,
            digest=self._release.digest,
            instances=self._target.instances,
            route=self._target.route or "",
            started=timestamp(self._clock),
        )
        self._unfinished.write("apply")
        self._keys.make_directories()
        self._progress(
            f"{self._release.service}: release {self._release.id} of {self._release.image}, "
            f"{self._target.instances} instances"
        )
        old = before.ledger.get(before.current) if before.current else None
        is_new = old is None or old.release != entry.release
        if is_new:
            self._keys.write_ledger(entry)
        try:
            self._rollout.converge(self._target, self._release)
        except RolloutFailed as failure:
            self._progress(f"{failure}")
            if is_new:
                self._keys.write_ledger(self._ended(entry, f"failed: {failure}"))
                raise ClusterError(f"{failure}; {self._go_back(old)}") from failure
            raise ClusterError(f"{failure}; {self._give_up_growth()}") from failure
        if old is not None and is_new:
            self._keys.write_ledger(replace(old, outcome="replaced"))
        self._keys.write_ledger(self._ended(entry, "serving"))
        self._keys.write_current(entry.release)
        self._unfinished.clear()
        self._progress(f"{self._release.service}: release {entry.release} serves")

    def _go_back(self, old: LedgerEntry | None) -> str:
        """Bring `old` back to what it was, then remove what was new. Returns how it stands now."""
        try:
            if old is None:
                self._stop_mine()
            else:
                self._rollout.converge(
                    Target(
                        service=self._release.service,
                        release=old.release,
                        instances=old.instances,
                        route=old.route,
                    )
                )
        except RolloutFailed as failure:
            return (
                f"going back failed, too: {failure}. What is ready still serves; "
                "mend that, then run this again"
            )
        view = self._observer.look()
        self._rollout.destroy(i for i in view.instances if i.release == self._release.id)
        self._unfinished.clear()
        if old is None:
            return "its units are removed; no release before it was finished"
        return f"its units are removed; release {old.release} keeps serving"

    def _stop_mine(self) -> None:
        """No release was ever finished. Another one that was interrupted may serve: let it."""
        view = self._observer.look()
        mine = [i.id for i in view.present() if i.id.release == self._release.id]
        if len(mine) == len(view.present()):
            self._keys.delete_route()
        self._rollout.stop(tuple(mine))

    def _give_up_growth(self) -> str:
        """The serving release could not grow or heal: keep what is ready and what was there
        before, remove what was to come on top."""
        view = self._observer.look()
        before = view.record.ledger[self._release.id].instances
        vain = [
            i.id
            for i in view.instances.values()
            if i.id.release == self._release.id and i.id.n > before and not i.is_ready
        ]
        self._rollout.stop(tuple(vain))
        self._rollout.destroy(vain)
        self._unfinished.clear()
        ready = [i for i in view.instances.values() if i.is_ready]
        return f"{len(ready)} instances of the release keep serving"

    def _ended(self, entry: LedgerEntry, outcome: str) -> LedgerEntry:
        return replace(entry, finished=timestamp(self._clock), outcome=outcome)
