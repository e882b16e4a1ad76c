"""The number of nodes, with the real engine and the simulated Azure."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.azure.arm.store import Resource
from lab.azure.compute.resource_types import SCALE_SET
from tests.parts.lab.providers.attached import attached_plugins
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import SimulatedAzure, serving
from tests.program.recorded_stack import SUBSCRIPTION
from tests.unit.lab.azure.azure import BALANCER, EVERYTHING_BUT_VMS, IDENTITY, SUBNET

PROGRAM = """
    import pulumi
    import pulumi_azure_native as azure_native
    from components.scale_set import ScaleSet, ScaleSetArgs

    azure = azure_native.Provider("azure", location="westeurope", subscription_id="{subscription}")
    ScaleSet(
        "scale-set",
        ScaleSetArgs(
            resource_group_name="fleet-dev",
            nodes={nodes},
            vm_size="{size}",
            zones=(),
            image_version="4593.2.5",
            subnet_id="{subnet}",
            backend_pool_id="{pool}",
            identity_id="{identity}",
            admin_public_key="ssh-ed25519 AAAA",
            cloud_config="#cloud-config",
            after=(),
        ),
        pulumi.ResourceOptions(providers=[azure]),
    )
"""


class Machines:
    """A stack that is only a scale set."""

    def __init__(self, cloud: SimulatedAzure, engine: PulumiStack) -> None:
        self.cloud = cloud
        self.engine = engine

    def wanted(self, nodes: int, size: str = "Standard_D2s_v5") -> None:
        surroundings = {
            "subnet": SUBNET,
            "pool": f"{BALANCER}/backendAddressPools/core",
            "identity": IDENTITY,
        }
        self.engine.program(
            PROGRAM.format(nodes=nodes, size=size, subscription=SUBSCRIPTION, **surroundings)
        )

    def up(self, nodes: int) -> None:
        self.wanted(nodes)
        outcome = self.engine.up()
        assert outcome.succeeded, outcome.text

    @property
    def capacity(self) -> object:
        return self._scale_set.inputs["sku"]["capacity"]

    def scale_by_hand(self, nodes: int) -> None:
        """As `az vmss scale` does."""
        sku = self._scale_set.inputs["sku"]
        self.cloud.edit(self._scale_set, sku={**sku, "capacity": nodes})

    @property
    def _scale_set(self) -> Resource:
        (found,) = [each for each in self.cloud.resources.values() if each.token == SCALE_SET]
        return found


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with serving(tmp_path / "azure") as cloud, attached_plugins(cloud) as environment:
        cloud.create(*EVERYTHING_BUT_VMS)
        engine = PulumiStack(tmp_path, environment)
        engine.init()
        yield Machines(cloud, engine)


def test_more_nodes_are_accepted_and_fewer_are_refused(
    machines: Machines,
) -> None:
    machines.up(3)
    machines.up(5)
    machines.wanted(3)

    preview, up = machines.engine.preview(), machines.engine.up()

    for refused in (preview, up):
        assert not refused.succeeded
        assert "fleet:nodes = 3: must not be less than 5" in refused.text
        assert "docs/operations.md#more-or-fewer-machines" in refused.text
    assert machines.capacity == 5
    machines.up(5)


def test_other_changes_of_the_model_are_accepted(machines: Machines) -> None:
    machines.up(3)
    machines.wanted(3, size="Standard_D4s_v5")

    outcome = machines.engine.up()

    assert outcome.succeeded, outcome.text


def test_a_smaller_number_is_accepted_after_the_nodes_are_gone(machines: Machines) -> None:
    machines.up(5)
    machines.scale_by_hand(3)
    refreshed = machines.engine.refresh()
    assert refreshed.succeeded, refreshed.text

    machines.up(3)

    assert machines.capacity == 3


def test_a_new_cluster_may_have_fewer_nodes(machines: Machines) -> None:
    machines.up(5)
    destroyed = machines.engine.destroy()
    assert destroyed.succeeded, destroyed.text

    machines.up(3)

    assert machines.capacity == 3
