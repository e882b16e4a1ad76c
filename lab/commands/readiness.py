"""What `make up` waits for at its end: that the load balancer finds every machine well.

After a power cut nothing has changed for Pulumi, so that it is done while the machines still boot.
"""

from __future__ import annotations

import time
from typing import Any

from lab.machine.endpoints import Endpoints, call
from tools.progress import StepFailed, step

PATIENCE = 300.0


def await_machines(stack_name: str, endpoints: Endpoints) -> None:
    """Return when all machines that are switched on answer their probes. Raises StepFailed."""
    if not _unready(stack_name, endpoints):
        return
    with step("Waiting for the machines"):
        deadline = time.monotonic() + PATIENCE
        while missing := _unready(stack_name, endpoints):
            if time.monotonic() > deadline:
                raise StepFailed(
                    "Waiting for the machines",
                    why=f"{', '.join(missing)} does not answer the load balancer's probes",
                    advice=f"Look with: make status STACK={stack_name}",
                )
            time.sleep(1)


def _unready(stack_name: str, endpoints: Endpoints) -> list[str]:
    status = call(endpoints, "GET", "/lab/status")
    assert isinstance(status, dict)
    return unready(stack_name, status)


def unready(stack_name: str, status: dict[str, Any]) -> list[str]:
    """The stack's machines that are on, and that some probe finds unhealthy or not yet at all."""
    group = f"/resourcegroups/fleet-{stack_name}/"
    machines = [one for one in status["vms"] if group in one["id"].lower()]
    report = status["probes"].get("probes", {})
    probes = [found for id, found in report.items() if group in id.lower()]
    return [
        one["node"]
        for one in machines
        if one["power"] == "running"
        and not (probes and all(probe.get(one["id"], {}).get("healthy") for probe in probes))
    ]
