"""Public addresses and the load balancers and NAT gateways that have them."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from lab.azure.network.public_addresses import loopback_address
from tests.unit.lab.azure.azure import NETWORK, Azure
from tests.unit.lab.azure.conftest import refusal

ADDRESS = f"{NETWORK}/publicIPAddresses/fleet"


async def test_a_public_address_is_a_loopback_address_with_a_name(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")

    address = await azure.create("network:PublicIPAddress")

    ip = IPv4Address(address.outputs["ipAddress"])
    assert ip.is_loopback
    assert ip not in IPv4Network("127.0.0.0/16")
    assert address.outputs["dnsSettings"]["fqdn"] == "fleet.westeurope.cloudapp.azure.com"


def test_an_address_is_always_the_same_for_the_same_id() -> None:
    first = loopback_address(ADDRESS, taken=())

    assert loopback_address(ADDRESS.upper(), taken=()) == first
    assert loopback_address(ADDRESS, taken=(first,)) != first


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sku": {"name": "Basic"}}, "IPv4BasicSkuPublicIpCountLimitReached"),
        ({"publicIPAllocationMethod": "Dynamic"}, "StandardSkuPublicIPAddressesMustBeStatic"),
        ({"dnsSettings": {"domainNameLabel": "No"}}, "InvalidDomainNameLabel"),
        ({"zones": ["4"]}, "InvalidAvailabilityZone"),
        ({"zones": ["1"], "location": "westus"}, "LocationNotSupportAvailabilityZones"),
        ({"publicIPAddressVersion": "IPv6"}, "NotModelled"),
    ],
)
async def test_invalid_resources_are_refused_as_by_azure(
    azure: Azure, changes: dict[str, object], code: str
) -> None:
    await azure.create("resources:ResourceGroup")

    error = await refusal(azure.create("network:PublicIPAddress", **changes))

    assert error.code == code


async def test_a_dns_label_is_unique_in_its_region(azure: Azure) -> None:
    await azure.create_all("resources:ResourceGroup", "network:PublicIPAddress")

    error = await refusal(azure.create("network:PublicIPAddress", publicIpAddressName="second"))
    elsewhere = await azure.create(
        "network:PublicIPAddress", publicIpAddressName="third", location="northeurope"
    )

    assert error.code == "DnsRecordInUse"
    assert elsewhere.outputs["ipAddress"]


async def test_an_address_belongs_to_one_resource(azure: Azure) -> None:
    await azure.create_all(
        "resources:ResourceGroup", "network:PublicIPAddress", "network:LoadBalancer"
    )

    error = await refusal(azure.create("network:NatGateway", publicIpAddresses=[{"id": ADDRESS}]))

    assert error.code == "PublicIPAddressInUse"


async def test_an_address_in_use_cannot_be_deleted(azure: Azure) -> None:
    await azure.create_all(
        "resources:ResourceGroup", "network:PublicIPAddress", "network:LoadBalancer"
    )

    error = await refusal(azure.cloud.manager.delete(ADDRESS))

    assert error.code == "PublicIPAddressCannotBeDeleted"


async def test_a_nat_gateway_and_its_address_share_a_zone(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")
    await azure.create("network:PublicIPAddress", zones=["1"])

    error = await refusal(
        azure.create("network:NatGateway", publicIpAddresses=[{"id": ADDRESS}], zones=["2"])
    )

    assert error.code == "NatGatewayAndPublicIpZonesMismatch"
