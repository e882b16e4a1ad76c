"""The scale set: write-only custom data, and identities that change their form."""

from __future__ import annotations

import json

import pytest

from lab.azure.arm.store import Resource
from lab.azure.compute.resource_types import SCALE_SET
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import SimulatedAzure
from tests.unit.lab.azure.azure import EVERYTHING_BUT_VMS, IDENTITY, SUBNET

PROGRAM = """
    import base64
    import pulumi
    from pulumi_azure_native import compute

    vms = compute.VirtualMachineScaleSet(
        "core",
        resource_group_name="fleet-dev",
        location="westeurope",
        vm_scale_set_name="core",
        orchestration_mode=compute.OrchestrationMode.UNIFORM,
        overprovision=False,
        upgrade_policy=compute.UpgradePolicyArgs(mode=compute.UpgradeMode.MANUAL),
        sku=compute.SkuArgs(name="Standard_B2s", capacity={capacity}),
        identity=compute.VirtualMachineScaleSetIdentityArgs(
            type=compute.ResourceIdentityType.USER_ASSIGNED,
            user_assigned_identities=["{identity}"],
        ),
        virtual_machine_profile=compute.VirtualMachineScaleSetVMProfileArgs(
            os_profile=compute.VirtualMachineScaleSetOSProfileArgs(
                admin_username="core",
                computer_name_prefix="core",
                custom_data=base64.b64encode(b"#cloud-config\\n# {custom_data}").decode(),
                linux_configuration=compute.LinuxConfigurationArgs(
                    disable_password_authentication=True,
                    ssh=compute.SshConfigurationArgs(
                        public_keys=[
                            compute.SshPublicKeyArgs(
                                path="/home/core/.ssh/authorized_keys",
                                key_data="ssh-ed25519 AAAA",
                            )
                        ]
                    ),
                ),
            ),
            storage_profile=compute.VirtualMachineScaleSetStorageProfileArgs(
                image_reference=compute.ImageReferenceArgs(
                    publisher="kinvolk",
                    offer="flatcar-container-linux-corevm-amd64",
                    sku="stable-gen2",
                    version="4593.2.5",
                ),
                os_disk=compute.VirtualMachineScaleSetOSDiskArgs(create_option="FromImage"),
            ),
            network_profile=compute.VirtualMachineScaleSetNetworkProfileArgs(
                network_interface_configurations=[
                    compute.VirtualMachineScaleSetNetworkConfigurationArgs(
                        name="core",
                        primary=True,
                        ip_configurations=[
                            compute.VirtualMachineScaleSetIPConfigurationArgs(
                                name="core", subnet=compute.ApiEntityReferenceArgs(id="{subnet}")
                            )
                        ],
                    )
                ]
            ),
        ),
        opts=pulumi.ResourceOptions(ignore_changes={ignored}),
    )
    pulumi.export("identities", vms.identity.user_assigned_identities)
"""


def program(custom_data: str = "one", capacity: int = 3, ignored: tuple[str, ...] = ()) -> str:
    return PROGRAM.format(
        custom_data=custom_data,
        capacity=capacity,
        ignored=json.dumps(list(ignored)),
        identity=IDENTITY,
        subnet=SUBNET,
    )


@pytest.fixture(autouse=True)
def surroundings(cloud: SimulatedAzure) -> None:
    cloud.create(*EVERYTHING_BUT_VMS)


def test_identities_go_in_as_a_list_and_come_out_as_a_map(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(program())

    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    (described,) = stack.outputs()["identities"].values()
    assert described["principal_id"] == cloud.named("nodes").outputs["principalId"]


def test_new_custom_data_updates_the_model(stack: PulumiStack, cloud: SimulatedAzure) -> None:
    stack.program(program())
    stack.up()

    stack.program(program(custom_data="two"))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert cloud.writes()[-1] == "PUT VirtualMachineScaleSet"


def test_refresh_keeps_custom_data_and_identities(stack: PulumiStack) -> None:
    stack.program(program())
    stack.up()

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
    os_profile = outputs["virtualMachineProfile"]["osProfile"]
    assert os_profile["adminUsername"] == "core"
    assert "customData" not in os_profile


@pytest.mark.parametrize("ignored", ["sku.capacity", "sku"])
def test_ignored_changes_are_left_alone(
    stack: PulumiStack, cloud: SimulatedAzure, ignored: str
) -> None:
    stack.program(program())
    stack.up()

    stack.program(program(capacity=5, ignored=(ignored,)))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert _scale_set(cloud).inputs["sku"]["capacity"] == 3
    assert "PUT VirtualMachineScaleSet" not in cloud.writes()


def _scale_set(cloud: SimulatedAzure) -> Resource:
    (found,) = [each for each in cloud.resources.values() if each.token == SCALE_SET]
    return found
