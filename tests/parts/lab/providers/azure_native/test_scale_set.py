"""The scale set: custom data that never comes back, identities that change their form."""

from __future__ import annotations

import json

import pytest

from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.unit.lab.providers.fake_cloud import FakeCloud

PROGRAM = """
    import base64
    import pulumi
    from pulumi_azure_native import compute, managedidentity

    nodes = managedidentity.UserAssignedIdentity(
        "nodes", resource_group_name="group", location="westeurope"
    )
    machines = compute.VirtualMachineScaleSet(
        "core",
        resource_group_name="group",
        location="westeurope",
        vm_scale_set_name="core",
        orchestration_mode=compute.OrchestrationMode.UNIFORM,
        sku=compute.SkuArgs(name="Standard_B2s", capacity={capacity}),
        identity=compute.VirtualMachineScaleSetIdentityArgs(
            type=compute.ResourceIdentityType.USER_ASSIGNED,
            user_assigned_identities=[nodes.id],
        ),
        virtual_machine_profile=compute.VirtualMachineScaleSetVMProfileArgs(
            os_profile=compute.VirtualMachineScaleSetOSProfileArgs(
                admin_username="core",
                custom_data=base64.b64encode(b"{custom_data}").decode(),
            ),
        ),
        opts=pulumi.ResourceOptions(ignore_changes={ignored}),
    )
    pulumi.export("identities", machines.identity.user_assigned_identities)
"""


def program(custom_data: str = "one", capacity: int = 3, ignored: tuple[str, ...] = ()) -> str:
    return PROGRAM.format(
        custom_data=custom_data, capacity=capacity, ignored=json.dumps(list(ignored))
    )


def test_identities_go_in_as_a_list_and_come_out_as_a_map(stack: PulumiStack) -> None:
    stack.program(program())

    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    (described,) = stack.outputs()["identities"].values()
    assert described["principal_id"] == "principal-1"


def test_new_custom_data_updates_the_model(stack: PulumiStack, cloud: FakeCloud) -> None:
    stack.program(program())
    stack.up()

    stack.program(program(custom_data="two"))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert cloud.writes()[-1] == "PUT VirtualMachineScaleSet"


def test_refresh_keeps_custom_data_and_identities(stack: PulumiStack, cloud: FakeCloud) -> None:
    stack.program(program())
    stack.up()
    outputs = cloud.resources[cloud.id_of("core")]["outputs"]
    del outputs["virtualMachineProfile"]["osProfile"]["customData"]

    refreshed = stack.refresh()
    again = stack.preview("--expect-no-changes")

    assert refreshed.succeeded, refreshed.text
    assert again.succeeded, again.text
    inputs = stack.resource("core")["inputs"]
    assert "customData" in inputs["virtualMachineProfile"]["osProfile"]


def test_custom_data_is_not_among_the_outputs(stack: PulumiStack) -> None:
    stack.program(program())

    stack.up()

    outputs = stack.resource("core")["outputs"]
    assert outputs["virtualMachineProfile"]["osProfile"] == {"adminUsername": "core"}


@pytest.mark.parametrize("ignored", ["sku.capacity", "sku"])
def test_ignored_changes_are_left_alone(stack: PulumiStack, cloud: FakeCloud, ignored: str) -> None:
    stack.program(program())
    stack.up()

    stack.program(program(capacity=5, ignored=(ignored,)))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert cloud.resources[cloud.id_of("core")]["inputs"]["sku"]["capacity"] == 3
    assert "PUT VirtualMachineScaleSet" not in cloud.writes()
