"""The verb `wait`: until etcd and fleet stand. Its success means that data of value may follow."""

from __future__ import annotations

from collections.abc import Callable

from clients.clock import Clock
from clients.errors import ClusterError
from clients.etcd import Etcd, EtcdError
from clients.etcd.members import Membership
from clients.fleet import Fleet, FleetUnavailable
from clients.fleet.machines import alive_addresses
from clients.progress import Patience, Progress
from contract.keys import ROUTERS, SERVICES
from contract.requests import WaitForCluster

_PAUSE = 2.0


def wait(
    wanted: WaitForCluster,
    *,
    etcd: Etcd,
    fleet: Fleet,
    membership: Membership,
    address: str,
    mark_formed: Callable[[], None],
    clock: Clock,
    progress: Progress,
) -> None:
    """Wait for `size` healthy voters and as many machines in fleet, then record that the cluster
    is formed. Raises ClusterError with what is missing."""
    deadline = clock.now() + wanted.timeout
    patience = Patience(clock, progress, quiet=0.0)
    while True:
        missing = _missing(wanted.size, membership, etcd, fleet, address)
        if missing is None:
            break
        if clock.now() >= deadline:
            raise ClusterError(
                f"the cluster is not complete after {wanted.timeout:.0f} s: {missing}. "
                "On the node that is missing look at `systemctl status node.target etcd fleet` "
                "and `journalctl -u etcd`"
            )
        patience.waiting_for(missing)
        clock.sleep(_PAUSE)
    # confd fails on a missing directory
    for directory in (SERVICES, ROUTERS):
        etcd.make_directory(directory)
    mark_formed()
    progress(f"the cluster stands: {wanted.size} etcd members, {wanted.size} machines in fleet")


def _missing(
    size: int, membership: Membership, etcd: Etcd, fleet: Fleet, address: str
) -> str | None:
    members = membership.survey([address])
    if members is None:
        return f"waiting for etcd on {address} to see a quorum"
    healthy = sorted(str(member) for member in members.healthy)
    if len(healthy) < size:
        return f"waiting for etcd: {len(healthy)} of {size} members are well ({', '.join(healthy)})"
    try:
        # fleet's API takes long to say that it has trouble: ask what it wrote to etcd first
        alive = sorted(alive_addresses(etcd))
        if len(alive) < size:
            return f"waiting for fleet: {len(alive)} of {size} machines ({', '.join(alive)})"
        machines = fleet.machines()
    except (EtcdError, FleetUnavailable) as error:
        return f"waiting for fleet on this node: {error}"
    return None if len(machines) >= size else f"waiting for fleet: {len(machines)} of {size}"
