"""What the azure-native plugin refuses, and what `pulumi up` shows for it."""

from __future__ import annotations

from lab.azure.arm.errors import AzureError
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import SimulatedAzure

BAD_RULE = """
    from pulumi_azure_native import network

    network.NetworkSecurityGroup(
        "rules",
        resource_group_name="group",
        location="westeurope",
        security_rules=[{
            "name": "https",
            "direction": "Inwards",
            "protocol": "Tcp",
            "priority": "first",
            "source_adress_prefix": "*",
        }],
    )
"""

GROUP = """
    from pulumi_azure_native import resources

    resources.ResourceGroup("group", location="westeurope")
"""


def test_all_mistakes_are_reported_together_with_their_paths(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(BAD_RULE)

    outcome = stack.up()

    assert not outcome.succeeded
    assert "missing required property 'securityRules[0].access'" in outcome.text
    assert (
        "'securityRules[0].direction' is 'Inwards', which is not one of: Inbound, Outbound"
        in outcome.text
    )
    assert "'securityRules[0].priority' should be a whole number but is a string" in outcome.text
    assert (
        "unknown property 'securityRules[0].source_adress_prefix'; "
        "did you mean 'sourceAddressPrefix'?" in outcome.text
    )
    assert cloud.resources == {}


def test_a_type_that_the_lab_does_not_model_is_refused_by_name(stack: PulumiStack) -> None:
    stack.program("""
        from pulumi_azure_native import network

        network.RouteTable("routes", resource_group_name="group")
    """)

    outcome = stack.preview()

    assert not outcome.succeeded
    assert "the lab does not model azure-native:network:RouteTable" in outcome.text


def test_a_function_that_the_lab_does_not_model_is_refused_by_name(stack: PulumiStack) -> None:
    stack.program("""
        from pulumi_azure_native import network

        network.get_virtual_network(resource_group_name="group", virtual_network_name="net")
    """)

    outcome = stack.preview()

    assert not outcome.succeeded
    assert "the lab does not model the function azure-native:network:getVirtualNetwork" in (
        outcome.text
    )


def test_a_property_that_the_lab_does_not_model_is_refused_by_name(stack: PulumiStack) -> None:
    stack.program(GROUP.replace("location", 'managed_by="another", location'))

    outcome = stack.up()

    assert not outcome.succeeded
    refusal = "the lab does not model Microsoft.Resources/resourceGroups property managedBy"
    assert f"NotModelled: {refusal}" in outcome.text


def test_a_refusal_of_the_cloud_leaves_no_doubt_about_the_state(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(GROUP)
    cloud.failures["ResourceGroup"] = AzureError("AuthorizationFailed", "no right to write", 403)

    outcome = stack.up()
    cloud.failures.clear()
    again = stack.up()

    assert "AuthorizationFailed: no right to write" in outcome.text
    assert again.succeeded, again.text
    assert "pending operation" not in again.text


def test_an_unreachable_cloud_is_reported_with_what_to_do(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(GROUP)
    cloud.stop()

    outcome = stack.up()

    assert not outcome.succeeded
    assert "the lab's cloud does not answer" in outcome.text
    assert "run make up" in outcome.text


def test_a_foreign_subscription_is_refused(stack: PulumiStack) -> None:
    stack.program(GROUP)
    stack.run("config", "set", "azure-native:subscriptionId", "11111111-2222-3333-4444-555555")

    outcome = stack.preview()

    assert not outcome.succeeded
    assert "the lab has one subscription" in outcome.text


def test_without_autonaming_a_name_must_be_given(stack: PulumiStack) -> None:
    stack.program(GROUP)
    stack.run("config", "set", "--path", "pulumi:autonaming.mode", "disabled")

    outcome = stack.preview()

    assert not outcome.succeeded
    assert "missing required property 'resourceGroupName'" in outcome.text


def test_an_enforced_naming_pattern_is_kept(stack: PulumiStack, cloud: SimulatedAzure) -> None:
    stack.program(GROUP)
    stack.run("config", "set", "--path", "pulumi:autonaming.mode", "verbatim")

    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert cloud.named("group").id.endswith("/resourceGroups/group")
