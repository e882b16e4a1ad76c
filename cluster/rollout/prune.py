"""Keeps the last releases of a service in fleet, inactive, for a rollback; destroys older ones.

It never fails a rollout: what it could not remove, the next one removes.
"""

from __future__ import annotations

from clients.errors import ClusterError
from clients.etcd import EtcdError
from clients.fleet import Fleet
from clients.progress import Progress
from clients.service_store import LEDGER_LENGTH, ServiceKeys
from cluster.rollout.observed import Observer, View


def prune(
    observer: Observer, fleet: Fleet, keys: ServiceKeys, *, keep: int, progress: Progress
) -> None:
    """Destroy what is too old, and report it if that can't be done now."""
    try:
        _prune(observer.look(), fleet, keys, keep=keep, progress=progress)
    except (ClusterError, EtcdError) as error:
        progress(f"older releases stay until the next rollout: {error}")


def _prune(view: View, fleet: Fleet, keys: ServiceKeys, *, keep: int, progress: Progress) -> None:
    """Destroy units of releases beyond the last `keep`, and ledger entries beyond the last 12
    (the routers read the whole of /services at every change)."""
    stopped = {i.id.release for i in view.instances.values()} - {
        i.id.release for i in view.present()
    }
    newest_first = sorted(
        view.record.ledger.values(), key=lambda entry: (entry.finished, entry.release), reverse=True
    )
    replaced = [entry.release for entry in newest_first if entry.outcome == "replaced"]
    doomed = stopped - {view.record.current} - set(replaced[:keep])
    fleet.destroy(
        [
            unit.name
            for instance in view.instances.values()
            if instance.id.release in doomed
            for unit in instance.units
        ]
    )
    if doomed:
        progress(f"removed the units of older releases: {', '.join(sorted(doomed))}")
    kept = {view.record.current, *replaced[:keep]}
    for entry in newest_first[LEDGER_LENGTH:]:
        if entry.release not in kept:
            keys.delete_ledger(entry.release)
