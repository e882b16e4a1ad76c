"""Writes a rollout's entry into its service's ledger."""

from __future__ import annotations

from dataclasses import replace

from clients.clock import Clock, timestamp
from clients.service_store import ServiceKeys
from cluster.rollout.reconcile import Target
from cluster.rollout.release import Release
from contract.ledger import LedgerEntry
from contract.rollout_mark import Before


class RolloutLedger:
    """The ledger entry of one rollout: opened, then closed or failed."""

    def __init__(
        self,
        store: ServiceKeys,
        clock: Clock,
        before: Before | None,
        release: Release,
        target: Target,
    ) -> None:
        self._store = store
        self._clock = clock
        self._before = before
        self._entry = LedgerEntry(
            release=release.id,
            image=release.image,
            digest=release.digest,
            instances=target.instances,
            route=target.route or "",
            started=timestamp(clock),
        )
        self.is_new_release = before is None or before.entry.release != release.id

    def open(self) -> None:
        """A new release has started. A change within a release keeps its entry until the end."""
        self._store.make_directories()
        if self.is_new_release:
            self._store.write_ledger(self._entry)

    def close(self) -> None:
        """The release serves."""
        if self._before is not None and self.is_new_release:
            self._store.write_ledger(replace(self._before.entry, outcome="replaced"))
        self._entry = self._ended("serving")
        self._store.write_ledger(self._entry)
        self._store.write_current(self._entry.release)

    def is_closed(self) -> bool:
        """Whether etcd has what `close` wrote."""
        return self._store.read().ledger.get(self._entry.release) == self._entry

    def fail(self, reason: str) -> None:
        """A new release could not serve. The old one's entry stays as it is."""
        if self.is_new_release:
            self._entry = self._ended(f"failed: {reason}")
            self._store.write_ledger(self._entry)

    def leave_a_note(self) -> None:
        """Nothing of the service is left: keep for a day why."""
        if self.is_new_release:
            self._store.leave_a_note(self._entry)

    def _ended(self, outcome: str) -> LedgerEntry:
        return replace(self._entry, finished=timestamp(self._clock), outcome=outcome)
