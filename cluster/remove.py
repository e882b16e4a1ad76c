"""The verb `remove`: drains a service, then takes away everything it left in fleet and etcd."""

from __future__ import annotations

from cluster.clock import Clock
from cluster.desired import Removal
from cluster.etcd import Etcd
from cluster.fleet import Fleet
from cluster.lock import Lock
from cluster.plan import Target
from cluster.progress import Progress
from cluster.rollout import Rollout
from cluster.service_keys import ServiceKeys
from cluster.unfinished import Unfinished
from cluster.view import Observer


def remove(
    wanted: Removal,
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
    with Lock(etcd, wanted.name, holder=holder, clock=clock, progress=progress) as lock:
        view = observer.look()
        if not view.instances and not view.record.exists:
            unfinished.clear()
            progress(f"{wanted.name}: is not there")
            return
        unfinished.write("remove")
        rollout = Rollout(
            fleet=fleet,
            keys=keys,
            observer=observer,
            lock=lock,
            clock=clock,
            progress=progress,
            drain=wanted.drain,
        )
        # first of all: who takes its hosts over is ready by now, and has them from here on
        rollout.withdraw_route()
        rollout.converge(Target(service=wanted.name))
        rollout.destroy(observer.look().instances)
        keys.delete_all()
        unfinished.clear()
        progress(f"{wanted.name}: removed")
