"""The end of `make up`: wait until every node answers the load balancer's probes.

After a power cut Pulumi sees no change, and ends while the nodes still boot.
"""

from __future__ import annotations

from typing import Any

from lab.machine.endpoints import Endpoints, call
from lab.machine.waiting import wait_until
from tools.progress import StepFailed, step

PATIENCE = 300.0
WAIT = "Waiting for the nodes"


def await_nodes(stack_name: str, endpoints: Endpoints) -> None:
    """Return when all nodes that are switched on answer their probes. Raises StepFailed."""
    if not _unready(stack_name, endpoints):
        return
    with step(WAIT):
        wait_until(
            lambda: not _unready(stack_name, endpoints),
            patience=PATIENCE,
            interval=1.0,
            failure=lambda: StepFailed(
                WAIT,
                why="the load balancer's probes get no answer from "
                + ", ".join(_unready(stack_name, endpoints)),
                advice=f"Look at the nodes with: make status STACK={stack_name}",
            ),
        )


def _unready(stack_name: str, endpoints: Endpoints) -> list[str]:
    status = call(endpoints, "GET", "/lab/status")
    assert isinstance(status, dict)
    return unready(stack_name, status)


def unready(stack_name: str, status: dict[str, Any]) -> list[str]:
    """The stack's running nodes that a probe finds unhealthy or has not asked yet."""
    group = f"/resourcegroups/fleet-{stack_name}/"
    vms = [one for one in status["vms"] if group in one["id"].lower()]
    report = status["probes"].get("probes", {})
    probes = [found for id, found in report.items() if group in id.lower()]
    return [
        one["node"]
        for one in vms
        if one["power"] == "running"
        and not (probes and all(probe.get(one["id"], {}).get("healthy") for probe in probes))
    ]
