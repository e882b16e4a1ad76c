"""The verb `remove`: drains a service, then takes away everything it left in fleet and etcd.

Its mark holds the units, so that a removal can be undone until it has come to its end.
"""

from __future__ import annotations

from clients.clock import Clock
from clients.errors import Interrupted
from clients.etcd import Etcd
from clients.etcd.lock import Lock
from clients.fleet import Fleet
from clients.progress import Progress
from clients.rollout_marks import Unfinished
from clients.service_store import ServiceKeys
from cluster.rollout.executor import Rollout
from cluster.rollout.observed import Observer
from cluster.rollout.undo import take_away
from contract.requests import RemoveService


def remove(
    wanted: RemoveService,
    *,
    etcd: Etcd,
    fleet: Fleet,
    clock: Clock,
    progress: Progress,
    holder: str,
) -> None:
    """Remove a service; one that is not there is fine. Raises ClusterError."""
    keys = ServiceKeys(etcd, wanted.name)
    observer = Observer(etcd, fleet, keys, wanted.name)
    unfinished = Unfinished(etcd, wanted.name, clock)
    try:
        with Lock(etcd, wanted.name, holder=holder, clock=clock, progress=progress) as lock:
            view = observer.look()
            if not view.instances and not view.record.exists:
                unfinished.clear()
                progress(f"{wanted.name}: is not there")
                return
            unfinished.begin("remove", view)
            rollout = Rollout(
                fleet=fleet,
                keys=keys,
                observer=observer,
                lock=lock,
                clock=clock,
                progress=progress,
                drain=wanted.drain,
            )
            take_away(wanted.name, rollout=rollout, keys=keys, observer=observer)
            unfinished.end(lambda: not keys.read().exists)
            progress(f"{wanted.name}: removed")
    except Interrupted:
        if not unfinished.has_counted():
            raise
