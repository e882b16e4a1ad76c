"""Cleans up after a killed `pulumi up`, before the next one starts.

The engine records every operation before it begins. If it dies during one (SIGKILL, power cut), its
state does not say how the operation ended. A destroy drops resources from the state that are
deleted with another one (secrets with their vault), and may end before it deletes that one. On
Azure an operator looks into the portal and imports or deletes. In the lab nothing is precious, so
what the state does not know is deleted.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lab.machine.endpoints import Endpoints, call
from lab.machine.waiting import wait_until
from lab.pulumi.engine import Stack
from tools.progress import StepFailed, step

PATIENCE = 600.0
"""Seconds that Azure may take to finish what the dead engine asked for."""
RECOVERY = "Recovering from an interrupted run"


def recover(stack: Stack, endpoints: Endpoints) -> None:
    """Make Pulumi's state and the simulated Azure agree after an interruption."""
    stack.unlock()
    group = f"fleet-{stack.name}"
    _wait_until_idle(endpoints, group)
    state = stack.state()
    lost = orphans(state, _inside(group, _cloud_ids(endpoints)))
    interrupted = bool(state.get("pending_operations"))
    if not lost and not interrupted:
        return
    with step(RECOVERY):
        for resource_id in lost:
            print(
                f"  deleting {resource_id.rsplit('/', 1)[-1]}, which Pulumi's state does not know"
            )
            _delete(endpoints, resource_id)
        if interrupted:
            _refresh(stack)


def _delete(endpoints: Endpoints, resource_id: str) -> None:
    if "/secrets/" in resource_id:
        # a deleted secret keeps its name, which the next run needs
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
            RECOVERY,
            why="pulumi refresh failed",
            advice="Its messages are above. If they do not help, run `make down` and begin again.",
        )


def _wait_until_idle(endpoints: Endpoints, group: str) -> None:
    """Wait until Azure has finished what the dead engine asked for, and lists all of it."""
    wait_until(
        lambda: not _inside(group, _operations(endpoints)),
        patience=PATIENCE,
        interval=0.5,
        failure=lambda: StepFailed(
            RECOVERY,
            why="the simulated Azure is still busy with "
            + ", ".join(_inside(group, _operations(endpoints))),
            advice="Read `docker logs fleet-lab-cloud`.",
        ),
    )


def _operations(endpoints: Endpoints) -> list[str]:
    status = call(endpoints, "GET", "/lab/status")
    assert isinstance(status, dict)
    return list(status["operations"])


def _cloud_ids(endpoints: Endpoints) -> list[str]:
    listed = call(endpoints, "GET", "/resources")
    assert isinstance(listed, list)
    return [str(one["id"]) for one in listed]


def _inside(group: str, ids: list[str]) -> list[str]:
    """The resource group and what is in it. Another group's name may begin the same."""
    return [one for one in ids if f"/resourcegroups/{group}/" in f"{one.lower()}/"]
