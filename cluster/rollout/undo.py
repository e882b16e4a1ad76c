"""Undoes a change that failed or was interrupted, and restores the state before it."""

from __future__ import annotations

from dataclasses import replace

from clients.clock import timestamp
from cluster.rollout.executor import Executor
from cluster.rollout.observed import ObservedService
from cluster.rollout.reconcile import Target
from cluster.rollout.release import Release
from contract.ledger import LedgerEntry
from contract.rollout_mark import Before


def undo(executor: Executor, before: Before | None) -> None:
    """Bring back the release, number and route of `before`, and destroy the units of unfinished
    releases. Raises RolloutFailed; what is ready still serves then."""
    if before is None:
        take_away(executor)
        return
    executor.store.make_directories()
    executor.converge(_target(executor.service, before), _release(executor.service, before))
    view = executor.look()
    executor.destroy(
        one for one in view.instances if not _is_kept(view, before, one.release, one.n)
    )
    _restore_ledger(executor, view, before)


def take_away(executor: Executor) -> None:
    """Drain a service and delete everything that it has in fleet and etcd. Raises
    RolloutFailed."""
    # first: a service that takes its hosts over is ready by now, and gets their requests from here
    executor.withdraw_route()
    executor.converge(Target(service=executor.service))
    executor.destroy(executor.look().instances)
    executor.store.delete_all()


def finished_state(view: ObservedService) -> Before | None:
    """The state that a change starts from, by the ledger. None if nothing was ever finished."""
    current = view.record.current
    if not current:
        return None
    instances = [one for one in view.instances.values() if one.id.release == current]
    entry = view.record.ledger.get(current) or LedgerEntry(
        release=current,
        image="",
        digest="",
        instances=max(1, sum(one.is_launched for one in instances)),
        route=view.record.route or "",
        started="",
    )
    whole = next((one for one in instances if one.app and one.announce), None)
    return Before(
        entry=replace(entry, outcome="serving"),
        app=whole.app.options if whole and whole.app else (),
        announce=whole.announce.options if whole and whole.announce else (),
    )


def _target(service: str, before: Before) -> Target:
    return Target(
        service=service,
        release=before.entry.release,
        instances=before.entry.instances,
        route=before.entry.route,
    )


def _release(service: str, before: Before) -> Release | None:
    """The contents of its units, if fleet still had them when the change began."""
    if not before.app or not before.announce:
        return None
    return Release(
        service=service,
        id=before.entry.release,
        image=before.entry.image,
        digest=before.entry.digest,
        app=before.app,
        announce=before.announce,
    )


def _restore_ledger(executor: Executor, view: ObservedService, before: Before) -> None:
    store, ended = executor.store, timestamp(executor.context.clock)
    for entry in view.record.ledger.values():
        if entry.release != before.entry.release and entry.outcome in ("started", "serving"):
            store.write_ledger(replace(entry, finished=ended, outcome="failed: interrupted"))
    if view.record.ledger.get(before.entry.release) != before.entry:
        store.write_ledger(before.entry)
    if view.record.current != before.entry.release:
        store.write_current(before.entry.release)


def _is_kept(view: ObservedService, before: Before, release: str, n: int) -> bool:
    """Replaced releases stay in fleet, inactive, for a rollback."""
    if release == before.entry.release:
        return n <= before.entry.instances
    entry = view.record.ledger.get(release)
    return entry is not None and entry.outcome == "replaced"
