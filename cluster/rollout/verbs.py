"""The verbs `apply`, `remove` and `settle`: rollouts of services."""

from __future__ import annotations

from clients.errors import ClusterError
from clients.etcd import EtcdError
from clients.etcd.lock import LockTaken
from clients.rollout_marks import unfinished_services
from cluster.context import ClusterContext
from cluster.rollout.rollout import ServiceRollout
from contract.requests import ApplyService, RemoveService

LONGEST_DRAIN = 300.0
"""Seconds to wait for a draining sidekick at most: only the sidekick knows its own drain time."""
START_TIMEOUT = 45.0
"""Seconds for instances to become ready. Short: the next run comes soon, and others wait."""


def apply(wanted: ApplyService, context: ClusterContext) -> None:
    """Roll a service out; if this fails, restore the previous state. Raises ClusterError."""
    ServiceRollout(
        context, wanted.name, drain=wanted.drain, start_timeout=wanted.start_timeout
    ).apply(wanted)


def remove(wanted: RemoveService, context: ClusterContext) -> None:
    """Drain a service and delete it. Raises ClusterError."""
    ServiceRollout(context, wanted.name, drain=wanted.drain).remove()


def settle(context: ClusterContext) -> None:
    """Undo every change that no program works on any more. Raises ClusterError for those that
    could not be undone.

    The engine was killed, the connection was lost, the node that rolled out died, or a failed
    change could not be undone at once. Pulumi's state then says what it said before the change, so
    the service goes back to that: the release that was finished last, its number of instances, its
    route. A service that never had a finished release is removed.
    """
    failures = []
    for service in unfinished_services(context.etcd):
        try:
            ServiceRollout(
                context,
                service,
                drain=LONGEST_DRAIN,
                start_timeout=START_TIMEOUT,
                lock_patience=0,
            ).recover()
        except LockTaken:
            continue  # a rollout works on it
        except (ClusterError, EtcdError) as failure:
            failures.append(f"{service}: {failure}")
    if failures:
        raise ClusterError("; ".join(failures))
