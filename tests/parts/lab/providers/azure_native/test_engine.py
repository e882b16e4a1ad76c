"""The azure-native plugin, driven by the real engine: resources from create to delete."""

from __future__ import annotations

from lab.azure.arm.errors import AzureError
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import SimulatedAzure

NETWORK = """
    import pulumi
    from pulumi_azure_native import network, resources

    group = resources.ResourceGroup("group", location="westeurope")
    net = network.VirtualNetwork(
        "net",
        resource_group_name=group.name,
        address_space=network.AddressSpaceArgs(address_prefixes=["10.0.0.0/16"]),
        tags={"owner": "someone"},
    )
    subnet = network.Subnet(
        "core",
        resource_group_name=group.name,
        virtual_network_name=net.name,
        address_prefix="10.0.1.0/24",
    )
    pulumi.export("net", net.name)
    pulumi.export("subnet", subnet.id)
"""

ADDRESS = """
    from pulumi_azure_native import network, resources

    group = resources.ResourceGroup("group", resource_group_name="group", location="westeurope")
    network.PublicIPAddress(
        "address",
        {name}
        resource_group_name=group.name,
        location="{location}",
        sku=network.PublicIPAddressSkuArgs(name="Standard"),
        public_ip_allocation_method="Static",
    )
"""

IDENTITY = """
    from pulumi_azure_native import managedidentity, resources

    group = resources.ResourceGroup("group", location="westeurope")
    managedidentity.UserAssignedIdentity(
        "nodes", resource_name_="nodes", resource_group_name=group.name, tags={"owner": "someone"}
    )
"""


def test_up_creates_and_a_second_up_changes_nothing(
    stack_with_plugin_process: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack = stack_with_plugin_process
    stack.program(NETWORK)

    outcome = stack.up()
    again = stack.preview("--expect-no-changes")

    assert outcome.succeeded, outcome.text
    assert again.succeeded, again.text
    assert stack.outputs()["subnet"].endswith("/subnets/core")
    assert len(cloud.resources) == 3


def test_preview_creates_nothing_and_leaves_outputs_unknown(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(NETWORK)

    outcome = stack.preview()

    assert outcome.succeeded, outcome.text
    assert "subnet: [unknown]" in outcome.text
    assert cloud.requests == []


def test_names_are_made_up_once_and_location_comes_from_the_group(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(NETWORK)
    stack.up()
    name = stack.outputs()["net"]

    stack.program(NETWORK.replace("someone", "someone else"))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert len(name) == len("net") + 8
    assert stack.outputs()["net"] == name
    assert cloud.named(name).inputs["location"] == "westeurope"
    assert cloud.named(name).outputs["tags"] == {"owner": "someone else"}
    assert cloud.writes()[-1] == "PUT VirtualNetwork"


def test_an_explicitly_named_resource_is_deleted_before_it_is_replaced(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    name = 'public_ip_address_name="address",'
    stack.program(ADDRESS.format(name=name, location="westeurope"))
    stack.up()

    stack.program(ADDRESS.format(name=name, location="northeurope"))
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert cloud.writes()[-2:] == ["DELETE", "POST PublicIPAddress"]


def test_an_auto_named_resource_is_replaced_before_it_is_deleted(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(ADDRESS.format(name="", location="westeurope"))
    stack.up()

    stack.program(ADDRESS.format(name="", location="northeurope"))
    preview = stack.preview()
    outcome = stack.up()

    assert outcome.succeeded, outcome.text
    assert '~ location: "westeurope" => "northeurope"' in preview.text
    assert cloud.writes()[-2:] == ["POST PublicIPAddress", "DELETE"]


def test_refresh_learns_what_changed_in_the_cloud_and_up_corrects_it(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(NETWORK)
    stack.up()
    net = stack.outputs()["net"]
    # Azure lists the standalone subnet among the network's own.
    cloud.edit(cloud.named(net), tags={"owner": "an intruder"}, subnets=[{"name": "core"}])

    refreshed = stack.refresh()
    inputs = stack.resource("net")["inputs"]
    outcome = stack.up()

    assert refreshed.succeeded, refreshed.text
    assert inputs["tags"] == {"owner": "an intruder"}
    assert "subnets" not in inputs
    assert outcome.succeeded, outcome.text
    assert cloud.named(net).outputs["tags"] == {"owner": "someone"}


def test_refresh_drops_a_missing_resource_and_up_creates_it_again(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(NETWORK)
    stack.up()
    cloud.azure.store.delete(cloud.named("core").id)

    refreshed = stack.refresh()
    outcome = stack.up()

    assert refreshed.succeeded, refreshed.text
    assert outcome.succeeded, outcome.text
    assert cloud.writes()[-1] == "POST Subnet"


def test_destroy_leaves_nothing(stack: PulumiStack, cloud: SimulatedAzure) -> None:
    stack.program(NETWORK)
    stack.up()

    outcome = stack.destroy()

    assert outcome.succeeded, outcome.text
    assert cloud.resources == {}


def test_a_resource_whose_creation_failed_late_is_updated_by_the_next_up(
    stack: PulumiStack, cloud: SimulatedAzure
) -> None:
    stack.program(NETWORK)
    cloud.failures["Subnet"] = AzureError("InternalServerError", "the fabric is on fire", 500)
    cloud.created_anyway.add("Subnet")

    failed = stack.up()
    cloud.failures.clear()
    outcome = stack.up()

    assert not failed.succeeded
    assert "InternalServerError: the fabric is on fire" in failed.text
    assert outcome.succeeded, outcome.text
    assert cloud.writes()[-1] == "PUT Subnet"


def test_an_existing_resource_can_be_imported(stack: PulumiStack, cloud: SimulatedAzure) -> None:
    stack.program(IDENTITY)
    stack.up()
    stack.run("state", "delete", stack.resource("nodes")["urn"], "--yes")

    outcome = stack.run(
        *("import", "azure-native:managedidentity:UserAssignedIdentity"),
        *("nodes", cloud.named("nodes").id),
        *("--yes", "--non-interactive", "--generate-code=false", "--protect=false"),
    )
    again = stack.preview("--expect-no-changes")

    assert outcome.succeeded, outcome.text
    assert again.succeeded, again.text


def test_a_resource_can_be_looked_up_by_its_id(stack: PulumiStack, cloud: SimulatedAzure) -> None:
    stack.program(NETWORK)
    stack.up()
    net = cloud.named(stack.outputs()["net"]).id

    stack.program(f"""
        import pulumi
        from pulumi_azure_native import network

        found = network.VirtualNetwork.get("found", "{net}")
        pulumi.export("prefixes", found.address_space.address_prefixes)
    """)
    outcome = stack.up("--target", "**found")

    assert outcome.succeeded, outcome.text
    assert "10.0.0.0/16" in outcome.text
