"""Undoes a change that failed or was interrupted: the service is again what it was before it."""

from __future__ import annotations

from dataclasses import replace

from clients.clock import Clock, timestamp
from clients.rollout_marks import Before
from clients.service_store import ServiceKeys
from cluster.rollout.executor import Rollout
from cluster.rollout.observed import Observer, View
from cluster.rollout.reconcile import Target


def undo(
    service: str,
    before: Before | None,
    *,
    rollout: Rollout,
    keys: ServiceKeys,
    observer: Observer,
    clock: Clock,
) -> None:
    """Bring the release, the number and the route of `before` back, and remove what is of no
    finished release. Raises RolloutFailed; what is ready still serves then."""
    if before is None:
        take_away(service, rollout=rollout, keys=keys, observer=observer)
        return
    keys.make_directories()
    rollout.converge(before.target, before.release)
    view = observer.look()
    rollout.destroy(one for one in view.instances if not _is_kept(view, before, one.release, one.n))
    for entry in view.record.ledger.values():
        if entry.release != before.entry.release and entry.outcome in ("started", "serving"):
            ended = timestamp(clock)
            keys.write_ledger(replace(entry, finished=ended, outcome="failed: interrupted"))
    if view.record.ledger.get(before.entry.release) != before.entry:
        keys.write_ledger(before.entry)
    if view.record.current != before.entry.release:
        keys.write_current(before.entry.release)


def take_away(service: str, *, rollout: Rollout, keys: ServiceKeys, observer: Observer) -> None:
    """Drain a service and remove all that it has in fleet and etcd. Raises RolloutFailed."""
    # first of all: who takes its hosts over is ready by now, and has them from here on
    rollout.withdraw_route()
    rollout.converge(Target(service=service))
    rollout.destroy(observer.look().instances)
    keys.delete_all()


def _is_kept(view: View, before: Before, release: str, n: int) -> bool:
    """Replaced releases stay in fleet, inactive, for a rollback."""
    if release == before.entry.release:
        return n <= before.entry.instances
    entry = view.record.ledger.get(release)
    return entry is not None and entry.outcome == "replaced"
