"""Keeps the last releases of a service in fleet, inactive, for a rollback; destroys older ones.

It never fails a rollout: the next rollout destroys the units that can't be destroyed now.
"""

from __future__ import annotations

from clients.errors import ClusterError
from clients.etcd import EtcdError
from clients.service_store import LEDGER_LENGTH
from cluster.rollout.executor import Executor


def prune(executor: Executor, *, keep: int) -> None:
    """Destroy older releases, or report why that can't be done now."""
    try:
        _prune(executor, keep=keep)
    except (ClusterError, EtcdError) as error:
        executor.context.progress(f"older releases stay until the next rollout: {error}")


def _prune(executor: Executor, *, keep: int) -> None:
    """Destroy units of releases beyond the last `keep`, and ledger entries beyond the last 12
    (routers read the whole of /services at every change)."""
    view = executor.look()
    stopped = {i.id.release for i in view.instances.values()} - {
        i.id.release for i in view.present()
    }
    newest_first = sorted(
        view.record.ledger.values(), key=lambda entry: (entry.finished, entry.release), reverse=True
    )
    replaced = [entry.release for entry in newest_first if entry.outcome == "replaced"]
    kept = {view.record.current, *replaced[:keep]}
    expired = stopped - kept
    executor.context.fleet.destroy(
        [
            unit.name
            for instance in view.instances.values()
            if instance.id.release in expired
            for unit in instance.units
        ]
    )
    if expired:
        executor.context.progress(
            f"removed the units of older releases: {', '.join(sorted(expired))}"
        )
    for entry in newest_first[LEDGER_LENGTH:]:
        if entry.release not in kept:
            executor.store.delete_ledger(entry.release)
