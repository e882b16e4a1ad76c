"""The context of a step: the clients, the clock, and the node."""

from __future__ import annotations

from dataclasses import dataclass

from clients.clock import Clock
from clients.etcd import Etcd
from clients.etcd.lock import Lock
from clients.fleet import Fleet
from clients.progress import Progress
from clients.registry import Registry


@dataclass(kw_only=True, frozen=True)
class ClusterContext:
    """Handed to everything that acts on the cluster, whole."""

    etcd: Etcd
    fleet: Fleet
    registry: Registry
    clock: Clock
    progress: Progress
    node: str  # the name of the node on which the program runs

    def lock(self, name: str, *, patience: float = 900.0) -> Lock:
        """A lock that this node will hold, for a `with` block."""
        return Lock(
            self.etcd,
            name,
            holder=self.node,
            clock=self.clock,
            progress=self.progress,
            patience=patience,
        )
