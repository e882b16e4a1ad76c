"""Recovery after an interrupted run: which resources are deleted, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote

import pytest

from lab.machine.endpoints import Endpoints
from lab.pulumi import recovery
from lab.pulumi.engine import Stack
from tools.progress import StepFailed

DEV = "/subscriptions/1/resourceGroups/fleet-dev"
KNOWN = f"{DEV}/providers/Microsoft.Network/virtualNetworks/known"
LOST = f"{DEV}/providers/Microsoft.Network/virtualNetworks/lost"
LOST_CHILD = f"{LOST}/subnets/core"
LOST_SECRET = f"{DEV}/providers/Microsoft.KeyVault/vaults/known/secrets/lost"
OTHER_STACKS = f"{DEV}2/providers/Microsoft.Network/virtualNetworks/known"
ENDPOINTS = Endpoints(api_url="", api_token="", blob_endpoint="", ca_file="")


class FakeStack:
    """The engine's side: a network that it knows, and perhaps one that it was making."""

    name = "dev"

    def __init__(self, *, interrupted: bool = True) -> None:
        self.ran: list[str] = []
        self._state = {
            "resources": [_resource(DEV), _resource(KNOWN)],
            "pending_operations": [{"type": "creating", "resource": _resource()}] * interrupted,
        }

    def unlock(self) -> None:
        return

    def state(self) -> dict[str, Any]:
        return self._state

    def run(self, command: str, *_options: str) -> int:
        self.ran.append(command)
        return 0


class FakeAzure:
    """Azure's side, with another stack whose name begins alike.

    It is busy for as many questions as there are in `busy`; what is being made appears after that.
    """

    def __init__(self, *busy: str, makes: tuple[str, ...] = (LOST, LOST_CHILD)) -> None:
        self.deleted: list[str] = []
        self.purged: list[str] = []
        self._busy: Iterator[str] = iter(busy)
        self._makes = makes
        self._ids = [DEV, KNOWN, f"{DEV}2", OTHER_STACKS]

    def call(
        self, _endpoints: Endpoints, method: str, path: str, body: dict[str, str] | None = None
    ) -> object:
        if path == "/lab/status":
            operations = [one.lower() for one in [next(self._busy, "")] if one]
            if not operations:
                self._ids += self._makes
            return {"operations": operations}
        if path == "/lab/purge":
            assert body is not None
            self.purged.append(body["id"])
            return {}
        if method == "DELETE":
            self.deleted.append(unquote(path.partition("?id=")[2]))
            return None
        return [{"id": id} for id in self._ids]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def test_nothing_changes_when_state_and_azure_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    azure, stack = FakeAzure(makes=()), FakeStack(interrupted=False)

    _recover(monkeypatch, azure, stack)

    assert azure.deleted == []
    assert stack.ran == []


def test_a_resource_that_destroy_dropped_from_the_state_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ended in order: nothing is pending, and there is nothing to refresh."""
    azure, stack = FakeAzure(), FakeStack(interrupted=False)

    _recover(monkeypatch, azure, stack)

    assert azure.deleted == [LOST_CHILD, LOST]
    assert stack.ran == []


def test_an_interrupted_operation_is_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = FakeStack()

    _recover(monkeypatch, FakeAzure(makes=()), stack)

    assert stack.ran == ["refresh"]


def test_resources_outside_the_state_are_deleted_children_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    azure, stack = FakeAzure(), FakeStack()

    _recover(monkeypatch, azure, stack)

    assert azure.deleted == [LOST_CHILD, LOST]
    assert stack.ran == ["refresh"]


def test_a_lost_secret_does_not_keep_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    azure = FakeAzure(makes=(LOST_SECRET,))

    _recover(monkeypatch, azure, FakeStack())

    assert (azure.deleted, azure.purged) == ([], [LOST_SECRET])


def test_a_stack_whose_name_begins_the_same_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    azure = FakeAzure()

    _recover(monkeypatch, azure, FakeStack())

    assert not [id for id in azure.deleted if id.startswith(f"{DEV}2")]


def test_recovery_waits_until_azure_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    azure = FakeAzure(LOST, LOST)

    _recover(monkeypatch, azure, FakeStack())

    assert LOST in azure.deleted


def test_recovery_does_not_wait_for_other_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PATIENCE", 0.0)

    _recover(monkeypatch, FakeAzure(OTHER_STACKS), FakeStack())


def test_an_azure_that_stays_busy_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PATIENCE", 0.0)

    with pytest.raises(StepFailed, match=r"still busy with .*virtualnetworks/lost"):
        _recover(monkeypatch, FakeAzure(*[LOST] * 3), FakeStack())


def _recover(monkeypatch: pytest.MonkeyPatch, azure: FakeAzure, stack: FakeStack) -> None:
    monkeypatch.setattr(recovery, "call", azure.call)
    recovery.recover(cast(Stack, stack), ENDPOINTS)


def _resource(id: str = "") -> dict[str, Any]:
    inputs = {"resourceGroupName": "fleet-dev"}
    return {"type": "azure-native:network:VirtualNetwork", "id": id, "inputs": inputs}
