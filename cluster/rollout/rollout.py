"""The rollout of one service. Every change goes the same way:

lock → mark → converge → ledger → mark deleted, which is the moment from which the change counts.
A change that fails or is interrupted before that moment is undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clients.errors import ClusterError, Interrupted
from clients.rollout_marks import RolloutMark
from clients.routers import left_out
from cluster.context import ClusterContext
from cluster.rollout.executor import Executor
from cluster.rollout.ledger import RolloutLedger
from cluster.rollout.prune import prune
from cluster.rollout.readiness import RolloutFailed
from cluster.rollout.reconcile import Done, Target, next_step
from cluster.rollout.release import Release, make_release
from cluster.rollout.undo import finished_state, take_away, undo
from contract.codec import encode
from contract.keys import service_key
from contract.requests import ApplyService
from contract.rollout_mark import Before


class ServiceRollout:
    """Brings one service to a new state, or back to the state before."""

    def __init__(
        self,
        context: ClusterContext,
        service: str,
        *,
        drain: float,
        start_timeout: float = 120.0,
        lock_patience: float = 900.0,
    ) -> None:
        self._context = context
        self._service = service
        self._mark = RolloutMark(context.etcd, service, context.clock)
        self._lock = context.lock(service, patience=lock_patience)
        self._executor = Executor(
            context, service, self._lock, drain=drain, start_timeout=start_timeout
        )

    def apply(self, wanted: ApplyService) -> None:
        """Roll `wanted` out. Raises ClusterError; what served before serves then."""
        release, target = self._resolve(wanted)
        if self._is_unchanged(target):
            self._say(f"unchanged (release {release.id}, {wanted.instances} instances)")
            return
        with self._locked():
            before = self._mark.begin("apply", self._finished_state())
            ledger = self._open_ledger(before, release, target)
            with self._undone_on_failure(before, ledger):
                self._executor.converge(target, release)
            ledger.close()
            prune(self._executor, keep=wanted.keep)
            self._commit(release, ledger)

    def remove(self) -> None:
        """Drain the service and delete everything that fleet and etcd have of it. Raises
        ClusterError."""
        with self._locked():
            if not self._executor.look().exists:
                self._mark.clear()
                self._say("does not exist")
                return
            self._mark.begin("remove", self._finished_state())
            take_away(self._executor)
            self._mark.commit(lambda: not self._executor.store.read().exists)
            self._say("removed")

    def recover(self) -> None:
        """Undo a change that failed or was interrupted. Raises LockTaken while a program works on
        the service, RolloutFailed if the change can't be undone yet."""
        with self._lock:
            mark = self._mark.take_over(self._finished_state())
            if mark is None:
                return  # the change has come to its end meanwhile
            before = mark.before and f"release {mark.before.entry.release}"
            to = f"going back to {before}" if before else "removing it"
            self._say(f"a change failed or was interrupted, {to}")
            undo(self._executor, mark.before)
            self._mark.commit(lambda: True)
            self._say(f"{before} serves" if before else "removed")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock. An interruption of a change that counts already is no failure."""
        try:
            with self._lock:
                yield
        except Interrupted:
            if not self._mark.is_committed():
                raise

    def _resolve(self, wanted: ApplyService) -> tuple[Release, Target]:
        """The digest that the image's tag has now. Raises RegistryError, UnitFileError."""
        release = make_release(wanted, self._context.registry.resolve(wanted.image_name))
        return release, Target(
            service=wanted.name,
            release=release.id,
            instances=wanted.instances,
            route=encode(wanted.route),
        )

    def _is_unchanged(self, target: Target) -> bool:
        """Whether nothing is left to do, down to the ledger, and no change is unfinished."""
        if self._mark.exists():
            return False
        view = self._executor.look()
        entry = view.record.ledger.get(target.release)
        return (
            isinstance(next_step(view, target), Done)
            and view.record.current == target.release
            and entry is not None
            and entry.outcome == "serving"
            and entry.instances == target.instances
        )

    def _finished_state(self) -> Before | None:
        return finished_state(self._executor.look())

    def _open_ledger(
        self, before: Before | None, release: Release, target: Target
    ) -> RolloutLedger:
        ledger = RolloutLedger(self._executor.store, self._context.clock, before, release, target)
        ledger.open()
        self._say(f"release {release.id} of {release.image}, {target.instances} instances")
        return ledger

    @contextmanager
    def _undone_on_failure(self, before: Before | None, ledger: RolloutLedger) -> Iterator[None]:
        """Restore `before` if the rollout fails. Raises ClusterError with both outcomes."""
        try:
            yield
        except RolloutFailed as failure:
            self._context.progress(str(failure))
            ledger.fail(str(failure))
            raise ClusterError(f"{failure}; {self._go_back(before, ledger)}") from failure

    def _go_back(self, before: Before | None, ledger: RolloutLedger) -> str:
        """Returns what serves now."""
        try:
            undo(self._executor, before)
        except RolloutFailed as failure:
            return (
                f"going back failed, too: {failure}. What is ready still serves, and the cluster "
                "tries again every minute; see `journalctl -u rollout-settle` on the nodes"
            )
        if before is None:
            ledger.leave_a_note()
        self._mark.commit(lambda: True)
        if before is None:
            return "its units are removed; no release before it was finished"
        if ledger.is_new_release:
            return f"its units are removed; release {before.entry.release} keeps serving"
        return (
            f"going back is done: {before.entry.instances} instances of release "
            f"{before.entry.release} keep serving, with the route from before"
        )

    def _commit(self, release: Release, ledger: RolloutLedger) -> None:
        # another service may hold a host or port of this one, and release it later: no failure
        prefix = f"{service_key(self._service)}/"
        for line in left_out(prefix, self._executor.routers()):
            self._say(line)
        self._mark.commit(ledger.is_closed)
        self._say(f"release {release.id} serves")

    def _say(self, line: str) -> None:
        self._context.progress(f"{self._service}: {line}")
