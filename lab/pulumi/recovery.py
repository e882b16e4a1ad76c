"""Puts right what a killed `pulumi up` left behind, before the next one starts.

The engine notes every operation before it begins. If it dies in the middle of one (SIGKILL, power
cut), its state does not say how the operation ended. Of what is deleted with another resource
(secrets with their vault) it forgets at once, though a destroy may end before it comes to that one.
On Azure an operator looks into the portal and imports or deletes; in the lab nothing is precious,
so what the state does not know is deleted.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from lab.machine.endpoints import Endpoints, call
from lab.pulumi.engine import Stack
from tools.progress import StepFailed, step

PATIENCE = 600.0
"""Seconds that Azure may take to finish what the dead engine had asked for."""


def recover(stack: Stack, endpoints: Endpoints) -> None:
    """Make Pulumi's state and the simulated Azure agree after an interruption; else do nothing."""
    stack.unlock()
    group = f"fleet-{stack.name}"
    _wait_until_idle(endpoints, group)
    state = stack.state()
    lost = orphans(state, _inside(group, _cloud_ids(endpoints)))
    interrupted = bool(state.get("pending_operations"))
    if not lost and not interrupted:
        return
    with step("Recovering from an interrupted run"):
        for resource_id in lost:
            print(f"  deleting {resource_id.rsplit('/', 1)[-1]}, which no state knows")
            _delete(endpoints, resource_id)
        if interrupted:
            _refresh(stack)


def _delete(endpoints: Endpoints, resource_id: str) -> None:
    if "/secrets/" in resource_id:
        # deleted only, it would keep its name, which the next run wants
        call(endpoints, "POST", "/lab/purge", {"id": resource_id})
    else:
        call(endpoints, "DELETE", f"/resources?id={quote(resource_id, safe='')}")


def orphans(state: dict[str, Any], cloud_ids: list[str]) -> list[str]:
    """Those of these resources that the state does not hold, children first."""
    known = {str(resource.get("id", "")).lower() for resource in state.get("resources", [])}
    lost = [one for one in cloud_ids if one.lower() not in known]
    return sorted(lost, key=lambda one: (-one.count("/"), one))


def _refresh(stack: Stack) -> None:
    if stack.run("refresh", "--yes", "--clear-pending-creates", "--skip-preview") != 0:
        raise StepFailed(
            "Recovering from an interrupted run",
            why="pulumi refresh failed",
            advice="See above; `make down` starts over.",
        )


def _wait_until_idle(endpoints: Endpoints, group: str) -> None:
    """What was asked for is still carried out when nobody waits for the answer, as on Azure: only
    after that the cloud shows all there is."""
    deadline = time.monotonic() + PATIENCE
    while busy := _inside(group, _operations(endpoints)):
        if time.monotonic() > deadline:
            raise StepFailed(
                "Recovering from an interrupted run",
                why=f"the simulated Azure is still busy with {', '.join(busy)}",
                advice="See `docker logs fleet-lab-cloud`.",
            )
        time.sleep(0.5)


def _operations(endpoints: Endpoints) -> list[str]:
    status = call(endpoints, "GET", "/lab/status")
    assert isinstance(status, dict)
    return list(status["operations"])


def _cloud_ids(endpoints: Endpoints) -> list[str]:
    listed = call(endpoints, "GET", "/resources")
    assert isinstance(listed, list)
    return [str(one["id"]) for one in listed]


def _inside(group: str, ids: list[str]) -> list[str]:
    """The resource group and what is in it. Its name may be the beginning of another one's."""
    return [one for one in ids if f"/resourcegroups/{group}/" in f"{one.lower()}/"]
