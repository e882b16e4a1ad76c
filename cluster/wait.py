"""The verb `wait`: waits until etcd and fleet work on every node.

After it succeeds, etcd may hold data that exists nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable

from clients.errors import ClusterError
from clients.etcd import EtcdError
from clients.etcd.members import Membership
from clients.fleet import FleetUnavailable
from clients.fleet.machines import alive_addresses
from clients.waiting import wait_until
from cluster.context import ClusterContext
from contract.keys import ROUTERS, SERVICES
from contract.requests import WaitForCluster

_PAUSE = 2.0


def wait(
    wanted: WaitForCluster,
    context: ClusterContext,
    membership: Membership,
    *,
    address: str,
    mark_formed: Callable[[], None],
) -> None:
    """Wait for `size` healthy voters and as many machines in fleet, then record that the cluster
    is formed. Raises ClusterError with what is missing."""
    wait_until(
        lambda: _missing(wanted.size, context, membership, address),
        patience=wanted.timeout,
        pause=_PAUSE,
        quiet=0.0,
        clock=context.clock,
        progress=context.progress,
        give_up=lambda missing: ClusterError(
            f"the cluster is not complete after {wanted.timeout:.0f} s: {missing}. "
            "On the node that is missing look at `systemctl status node.target etcd fleet` "
            "and `journalctl -u etcd`"
        ),
    )
    # confd fails on a missing directory
    for directory in (SERVICES, ROUTERS):
        context.etcd.make_directory(directory)
    mark_formed()
    context.progress(
        f"the cluster is complete: {wanted.size} etcd members, {wanted.size} machines in fleet"
    )


def _missing(
    size: int, context: ClusterContext, membership: Membership, address: str
) -> str | None:
    members = membership.survey([address])
    if members is None:
        return f"waiting for etcd on {address} to see a quorum"
    healthy = sorted(str(member) for member in members.healthy)
    if len(healthy) < size:
        return (
            f"waiting for etcd: {len(healthy)} of {size} members are healthy ({', '.join(healthy)})"
        )
    try:
        # fleet's API is slow to report trouble: read first what fleet wrote to etcd
        alive = sorted(alive_addresses(context.etcd))
        if len(alive) < size:
            return f"waiting for fleet: {len(alive)} of {size} machines ({', '.join(alive)})"
        machines = context.fleet.machines()
    except (EtcdError, FleetUnavailable) as error:
        return f"waiting for fleet on this node: {error}"
    return None if len(machines) >= size else f"waiting for fleet: {len(machines)} of {size}"
