"""Virtual networks, subnets, NAT gateways."""

import asyncio

import pytest

from lab.azure.host.interface import Network
from tests.unit.lab.azure.azure import EVERYTHING_BUT_VMS, NETWORK, SUBNET, Azure
from tests.unit.lab.azure.conftest import refusal

VNET = f"{NETWORK}/virtualNetworks/fleet"
PLAIN = {"networkSecurityGroup": None, "natGateway": None}


async def test_a_virtual_network_is_a_network_of_the_host(azure: Azure) -> None:
    await azure.create_all("resources:ResourceGroup", "network:VirtualNetwork")

    assert azure.host.networks["fleet-lab-fleet"] == Network(
        name="fleet-lab-fleet",
        resource_id=VNET,
        cidr="10.20.0.0/16",
        gateway="10.20.0.1",
        own_address="10.20.0.2",
    )


async def test_a_range_that_the_host_uses_is_refused_with_advice(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")
    azure.host.taken_ranges.add("10.20.0.0/16")

    error = await refusal(azure.create("network:VirtualNetwork"))

    assert "overlaps a network of this host. Choose another range" in error.message


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        ("10.21.0.0/24", "NetcfgInvalidSubnet"),  # outside
        ("10.20.0.0/30", "NetcfgInvalidSubnet"),  # five of four addresses are reserved
        ("10.20.0.128/25", "NetcfgInvalidSubnet"),  # overlaps
        ("10.20.1.7/24", "InvalidCIDRNotation"),
    ],
)
async def test_a_subnet_must_fit(azure: Azure, prefix: str, code: str) -> None:
    await azure.create_all("resources:ResourceGroup", "network:VirtualNetwork")
    await azure.create("network:Subnet", **PLAIN)

    error = await refusal(
        azure.create("network:Subnet", subnetName="second", addressPrefix=prefix, **PLAIN)
    )

    assert error.code == code


async def test_two_subnets_of_a_network_at_once_are_refused(azure: Azure) -> None:
    await azure.create_all("resources:ResourceGroup", "network:VirtualNetwork")

    results = await asyncio.gather(
        azure.create("network:Subnet", **PLAIN),
        azure.create("network:Subnet", subnetName="b", addressPrefix="10.20.1.0/24", **PLAIN),
        return_exceptions=True,
    )

    assert [getattr(result, "code", None) for result in results] == [
        None,
        "AnotherOperationInProgress",
    ]


async def test_a_network_that_is_updated_keeps_its_subnets(azure: Azure) -> None:
    await azure.create_all("resources:ResourceGroup", "network:VirtualNetwork")
    await azure.create("network:Subnet", **PLAIN)

    await azure.update("network:VirtualNetwork", tags={"owner": "me"})

    assert azure.store.get(SUBNET) is not None


async def test_a_subnet_refers_to_what_exists(azure: Azure) -> None:
    await azure.create_all("resources:ResourceGroup", "network:VirtualNetwork")

    error = await refusal(azure.create("network:Subnet"))

    assert error.code == "InvalidResourceReference"


async def test_a_subnet_in_use_cannot_be_deleted(azure: Azure) -> None:
    await azure.create_all(*EVERYTHING_BUT_VMS, "compute:VirtualMachineScaleSet")

    error = await refusal(azure.cloud.manager.delete(SUBNET))

    assert error.code == "InUseSubnetCannotBeDeleted"
    assert "virtualMachineScaleSets/core" in error.message


async def test_a_nat_gateway_leaves_the_subnet_first(azure: Azure) -> None:
    await azure.create_all(*EVERYTHING_BUT_VMS)
    gateway = f"{NETWORK}/natGateways/fleet"

    in_use = await refusal(azure.cloud.manager.delete(gateway))
    await azure.update("network:Subnet", natGateway=None)
    await azure.cloud.manager.delete(gateway)

    assert in_use.code == "InUseNatGatewayCannotBeDeleted"
    assert azure.store.get(gateway) is None


async def test_a_security_group_in_use_cannot_be_deleted(azure: Azure) -> None:
    await azure.create_all(*EVERYTHING_BUT_VMS)

    error = await refusal(azure.cloud.manager.delete(f"{NETWORK}/networkSecurityGroups/fleet"))

    assert error.code == "InUseNetworkSecurityGroupCannotBeDeleted"


async def test_a_security_groups_rules_are_checked(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")
    rule = {
        "name": "web",
        "priority": 99,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "80",
    }

    error = await refusal(azure.create("network:NetworkSecurityGroup", securityRules=[rule]))

    assert error.code == "SecurityRuleInvalidPriority"
