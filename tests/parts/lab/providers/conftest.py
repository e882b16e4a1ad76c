"""The simulated Azure, and a Pulumi stack whose azure-native plugin reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.lab.providers.attached import attached_plugins
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import TOKEN, SimulatedAzure, serving


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[SimulatedAzure]:
    with serving(tmp_path / "azure") as made:
        yield made


@pytest.fixture
def stack(tmp_path: Path, cloud: SimulatedAzure) -> Iterator[PulumiStack]:
    """The engine attaches to a plugin in this process, which saves starting one each time."""
    with attached_plugins(cloud) as environment:
        made = PulumiStack(tmp_path, environment)
        made.init()
        yield made


@pytest.fixture
def stack_with_plugin_process(tmp_path: Path, cloud: SimulatedAzure) -> PulumiStack:
    """The engine starts the plugin itself, as it does in the lab."""
    made = PulumiStack(tmp_path, {"LAB_API_URL": cloud.url, "LAB_API_TOKEN": TOKEN})
    made.plugin("azure-native", "lab.providers.azure_native")
    made.init()
    return made
