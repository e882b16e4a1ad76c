"""Puts right what a killed `pulumi up` left behind, before the next one starts.

The engine notes every operation before it begins. If it dies in the middle of one (SIGKILL, power
cut), its state does not say how the operation ended. On Azure an operator looks into the portal
and imports or deletes; in the lab nothing is precious, so what the state does not know is deleted.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lab.endpoints import Endpoints, call
from lab.engine import Stack
from tools.progress import StepFailed, step

AZURE = "azure-native:"


def recover(stack: Stack, endpoints: Endpoints) -> None:
    """Make Pulumi's state and the simulated Azure agree after an interruption; else do nothing."""
    stack.unlock()
    state = stack.state()
    if not state.get("pending_operations"):
        return
    with step("Recovering from an interrupted run"):
        for resource_id in orphans(state, _cloud_ids(endpoints, state)):
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


def _cloud_ids(endpoints: Endpoints, state: dict[str, Any]) -> list[str]:
    groups = _groups(state)
    listed = call(endpoints, "GET", "/resources")
    assert isinstance(listed, list)
    ids = [str(one["id"]) for one in listed]
    return [
        one for one in ids if any(f"/resourcegroups/{group}" in one.lower() for group in groups)
    ]


def _groups(state: dict[str, Any]) -> set[str]:
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
