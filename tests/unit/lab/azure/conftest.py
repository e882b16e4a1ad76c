"""The simulated Azure's control plane, without Docker."""

from collections.abc import Awaitable
from pathlib import Path

import pytest

from lab.azure.arm.errors import AzureError
from lab.azure.arm.store import Store
from lab.azure.compute import vm_lifecycle
from lab.azure.network import virtual_networks
from tests.unit.lab.azure.azure import Azure
from tests.unit.lab.azure.stored_resources import StoredResources


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Azure:
    """An empty subscription; nothing in it takes time."""
    monkeypatch.setattr(virtual_networks, "OPERATION_SECONDS", 0)
    monkeypatch.setattr(vm_lifecycle, "POLL_SECONDS", 0)
    monkeypatch.setattr(vm_lifecycle, "PROVISIONING_SECONDS", 0.05)
    return Azure(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "resources")


@pytest.fixture
def stored(store: Store) -> StoredResources:
    return StoredResources(store)


async def refusal(operation: Awaitable[object]) -> AzureError:
    """The error that the operation is refused with."""
    with pytest.raises(AzureError) as caught:
        await operation
    return caught.value
