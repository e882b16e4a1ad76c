"""Puts right what a killed `pulumi up` left behind, before the next one starts.

The engine notes every operation before it begins. If it dies in the middle of one (SIGKILL, power
cut), its state does not say how the operation ended. On Azure an operator looks into the portal
and imports or deletes; in the lab nothing is precious, so what the state does not know is deleted.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from lab.endpoints import Endpoints, call
from lab.engine import Stack
from tools.progress import StepFailed, step

AZURE = "azure-native:"
PATIENCE = 600.0
"""Seconds that Azure may take to finish what the dead engine had asked for."""


def recover(stack: Stack, endpoints: Endpoints) -> None:
    """Make Pulumi's state and the simulated Azure agree after an interruption; else do nothing."""
    stack.unlock()
    state = stack.state()
    if not state.get("pending_operations"):
        return
    groups = groups_of(state)
    with step("Recovering from an interrupted run"):
        _wait_until_idle(endpoints, groups)
        for resource_id in orphans(state, _inside(groups, _cloud_ids(endpoints))):
            print(f"  deleting {resource_id.rsplit('/', 1)[-1]}, which no state knows")
            call(endpoints, "DELETE", f"/resources?id={quote(resource_id, safe='')}")
        if stack.run("refresh", "--yes", "--clear-pending-creates", "--skip-preview") != 0:
            raise StepFailed(
                "Recovering from an interrupted run",
                why="pulumi refresh failed",
                advice="See above; `make down` starts over.",
            )


def orphans(state: dict[str, Any], cloud_ids: list[str]) -> list[str]:
    """The cloud's resources in the stack's groups that the state does not hold, children first."""
    known = {str(resource.get("id", "")).lower() for resource in state.get("resources", [])}
    lost = [one for one in cloud_ids if one.lower() not in known]
    return sorted(lost, key=lambda one: (-one.count("/"), one))


def groups_of(state: dict[str, Any]) -> set[str]:
    """Resource groups named by the state, also by an operation that did not end."""
    resources = [
        *state.get("resources", []),
        *(operation["resource"] for operation in state.get("pending_operations", [])),
    ]
    return {
        str(resource["inputs"]["resourceGroupName"]).lower()
        for resource in resources
        if str(resource.get("type", "")).startswith(AZURE)
        and "resourceGroupName" in resource.get("inputs", {})
    }


def _wait_until_idle(endpoints: Endpoints, groups: set[str]) -> None:
    """What was asked for is still carried out when nobody waits for the answer, as on Azure: only
    after that the cloud shows all there is."""
    deadline = time.monotonic() + PATIENCE
    while busy := _inside(groups, _operations(endpoints)):
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


def _inside(groups: set[str], ids: list[str]) -> list[str]:
    """Those of these resource groups. A group's name may be the beginning of another one's."""
    return [
        one
        for one in ids
        if any(f"/resourcegroups/{group}/" in f"{one.lower()}/" for group in groups)
    ]
