"""Load balancers as they are configured."""

from typing import Any

import pytest

from tests.unit.lab.azure.azure import BALANCER, EVERYTHING_BUT_VMS, Azure, rule
from tests.unit.lab.azure.conftest import refusal


@pytest.fixture
async def with_address(azure: Azure) -> Azure:
    await azure.create_all("resources:ResourceGroup", "network:PublicIPAddress")
    return azure


async def test_parts_come_back_with_their_ids(with_address: Azure) -> None:
    balancer = await with_address.create("network:LoadBalancer")

    assert balancer.outputs["probes"][0]["id"] == f"{BALANCER}/probes/router"
    assert balancer.outputs["frontendIPConfigurations"][0]["id"].endswith("/public")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([rule("a", 80), rule("b", 80, backendPort=81)], "RulesUseSameFrontendPort"),
        ([rule("a", 80), rule("b", 81, backendPort=80)], "RulesUseSameBackendPort"),
        ([rule("a", 80, probe={"id": f"{BALANCER}/probes/other"})], "InvalidResourceReference"),
        ([rule("a", 80, backendAddressPool={"id": "/elsewhere"})], "InvalidResourceReference"),
        ([rule("a", 80, idleTimeoutInMinutes=3)], "LoadBalancingRuleIdleTimeoutInvalid"),
        ([rule("a", 80, protocol="All")], "LoadBalancingRuleProtocolInvalid"),
        ([rule("a", 80, loadDistribution="Random")], "InvalidRequestFormat"),
        ([rule("a", 0)], "InvalidPort"),
        ([rule("a", 65535)], "InvalidPort"),
        ([rule("a", 80), rule("a", 81)], "InvalidRequestFormat"),
        ([rule("a", 80, enableFloatingIP=True)], "NotModelled"),
        ([rule("a", 80, protocol="Udp", enableTcpReset=True)], "LoadBalancingRuleTcpReset"),
    ],
)
async def test_a_rule_that_azure_refuses(with_address: Azure, rules: list[Any], code: str) -> None:
    error = await refusal(with_address.create("network:LoadBalancer", loadBalancingRules=rules))

    assert error.code.startswith(code)


async def test_one_port_for_tcp_and_for_udp(with_address: Azure) -> None:
    rules = [rule("voice", 64738), rule("voice-udp", 64738, protocol="Udp")]

    balancer = await with_address.create("network:LoadBalancer", loadBalancingRules=rules)

    assert len(balancer.outputs["loadBalancingRules"]) == 2


@pytest.mark.parametrize(
    "probe",
    [
        {"name": "router", "protocol": "Udp", "port": 53},
        {"name": "router", "protocol": "Http", "port": 80},
        {"name": "router", "protocol": "Tcp", "port": 80, "requestPath": "/"},
        {"name": "router", "protocol": "Tcp", "port": 80, "intervalInSeconds": 4},
    ],
)
async def test_a_probe_that_azure_refuses(with_address: Azure, probe: dict[str, Any]) -> None:
    error = await refusal(with_address.create("network:LoadBalancer", probes=[probe]))

    assert error.status == 400


async def test_basic_load_balancers_are_refused(with_address: Azure) -> None:
    error = await refusal(with_address.create("network:LoadBalancer", sku={"name": "Basic"}))

    assert error.code == "LoadBalancerSkuNotSupported"


async def test_referenced_resources_must_be_in_the_same_region(with_address: Azure) -> None:
    error = await refusal(with_address.create("network:LoadBalancer", location="northeurope"))

    assert error.code == "InvalidResourceReference"
    assert "in the same region" in error.message


async def test_a_part_that_a_scale_set_uses_cannot_be_deleted(azure: Azure) -> None:
    await azure.create_all(*EVERYTHING_BUT_VMS, "compute:VirtualMachineScaleSet")

    deleted = await refusal(azure.cloud.manager.delete(BALANCER))
    removed = await refusal(
        azure.update("network:LoadBalancer", backendAddressPools=[], loadBalancingRules=[])
    )

    assert deleted.code == "LoadBalancerInUseByVirtualMachineScaleSet"
    assert removed.code == "InUseLoadBalancerPartCannotBeDeleted"
