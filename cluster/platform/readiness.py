"""The conditions, beyond running, that a platform unit must meet before the rollout continues."""

from __future__ import annotations

from clients.errors import ClusterError
from clients.etcd.lock import Lock
from clients.routers import read_routers
from clients.waiting import wait_until
from cluster.context import ClusterContext
from contract.keys import SERVICES


def current_index(context: ClusterContext) -> int:
    """The index that a new router must reach before it serves as the old one did."""
    return context.etcd.get(SERVICES).index


def missing_on_node(context: ClusterContext, key: str, machine_id: str, index: int) -> str | None:
    """The condition that the unit on one node does not meet yet; None if it meets all."""
    if key != "router":
        return None
    # a router that has just started reports 0
    has_applied = any(
        router.machine_id == machine_id and router.applied >= index
        for router in read_routers(context.etcd)
    )
    return None if has_applied else "it has not applied the routes yet"


def await_ready(context: ClusterContext, key: str, lock: Lock, *, timeout: float) -> None:
    """Wait until a unit that runs everywhere also serves. Raises ClusterError."""
    match key:
        case "registry":
            missing, advice = (
                _missing_registry,
                (
                    "its container runs, so look at its log and at the role assignments on the "
                    "storage account"
                ),
            )
        case "router":
            missing, advice = _missing_routers, "look at `journalctl -u 'router-*'` there"
        case _:
            return
    wait_until(
        lambda: missing(context),
        patience=timeout,
        clock=context.clock,
        lock=lock,
        progress=context.progress,
        give_up=lambda what: ClusterError(f"{what} for {timeout:.0f} s; {advice}"),
    )


def _missing_registry(context: ClusterContext) -> str | None:
    if context.registry.answers():
        return None
    return "the registry on this node has not answered from its storage"


def _missing_routers(context: ClusterContext) -> str | None:
    announced = {router.machine_id for router in read_routers(context.etcd)}
    machines = context.fleet.machines()
    missing = [machine.primary_ip for machine in machines if machine.id not in announced]
    return f"no router has reported on {', '.join(missing)}" if missing else None
