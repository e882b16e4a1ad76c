"""The simulated Azure's control plane, without Docker."""

from collections.abc import Awaitable
from pathlib import Path

import pytest

from lab.azure.arm.errors import AzureError
from lab.azure.compute import vms
from lab.azure.network import virtual_networks
from tests.unit.lab.azure.azure import Azure


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Azure:
    """An empty subscription; nothing in it takes time."""
    monkeypatch.setattr(virtual_networks, "OPERATION_SECONDS", 0)
    monkeypatch.setattr(vms, "POLL_SECONDS", 0)
    monkeypatch.setattr(vms, "PROVISIONING_SECONDS", 0.05)
    return Azure(tmp_path)


async def refusal(operation: Awaitable[object]) -> AzureError:
    """The error that the operation is refused with."""
    with pytest.raises(AzureError) as caught:
        await operation
    return caught.value
