"""What resources mean for traffic: the balancer's orders, the VMs' packet filters."""

import pytest

from lab.azure.fabric.traffic import has_way_out, packet_filter
from lab.azure.load_balancer import config
from lab.azure.load_balancer.config import Configuration
from tests.unit.lab.azure.azure import (
    BALANCER,
    EVERYTHING_BUT_VMS,
    NETWORK,
    SCALE_SET,
    Azure,
    rule,
)


@pytest.fixture
async def running(azure: Azure) -> Azure:
    azure.cloud.fabric.start()
    await azure.create_all(*EVERYTHING_BUT_VMS, "compute:VirtualMachineScaleSet")
    return azure


def orders(azure: Azure) -> Configuration:
    return config.load(azure.folder / "load-balancer.json")


async def test_the_balancer_gets_its_rules(running: Azure) -> None:
    address = running.store.get(f"{NETWORK}/publicIPAddresses/fleet")
    assert address is not None

    (frontend,) = orders(running).frontends

    (balancing,) = frontend.rules
    assert frontend.address == address.outputs["ipAddress"]
    assert [each.address for each in balancing.backends] == ["10.20.0.4", "10.20.0.5"]
    assert balancing.backends[0].name == f"{SCALE_SET}/virtualMachines/0"
    assert balancing.probe is not None
    assert (balancing.probe.id, balancing.probe.path) == (f"{BALANCER}/probes/router", "/health")
    assert [group.name for group in balancing.security.groups] == ["fleet"]
    assert balancing.security.space.prefixes == ("10.20.0.0/16",)


async def test_the_balancer_gets_changed_rules(running: Azure) -> None:
    await running.update("network:LoadBalancer", loadBalancingRules=[rule("a", 80), rule("b", 81)])
    await running.cloud.manager.delete(SCALE_SET)

    (frontend,) = orders(running).frontends

    assert [(each.frontend_port, each.backends) for each in frontend.rules] == [(80, ()), (81, ())]


async def test_changed_rules_reach_running_vms(running: Azure) -> None:
    container = running.host.containers["fleet-lab-core_0"]
    filtered = container.files["/var/lib/lab-provisioning/filter.nft"]

    await running.update("network:NetworkSecurityGroup", securityRules=[])
    vm = running.vms()[0]

    assert packet_filter(running.store, vm).encode() != filtered


async def test_a_subnet_without_a_nat_gateway_has_no_outbound_access(running: Azure) -> None:
    await running.update("network:Subnet", natGateway=None)

    vm = running.vms()[0]

    assert not has_way_out(running.store, vm)
    assert "ip daddr != { 10.20.0.0/16, 168.63.129.16" in packet_filter(running.store, vm)


async def test_a_nat_gateway_without_an_address_gives_no_outbound_access(running: Azure) -> None:
    vm = running.vms()[0]
    without = has_way_out(running.store, vm)

    await running.create("network:PublicIPAddress", publicIpAddressName="out", dnsSettings=None)
    await running.update(
        "network:NatGateway", publicIpAddresses=[{"id": f"{NETWORK}/publicIPAddresses/out"}]
    )

    assert (without, has_way_out(running.store, vm)) == (False, True)


@pytest.mark.parametrize(("disabled", "way_out"), [(True, False), (False, True)])
async def test_a_vm_goes_out_through_balancing_rules_unless_they_disable_snat(
    running: Azure, disabled: bool, way_out: bool
) -> None:
    await running.update("network:Subnet", natGateway=None)

    rules = [rule("http", 80, disableOutboundSnat=disabled)]
    await running.update("network:LoadBalancer", loadBalancingRules=rules)

    assert has_way_out(running.store, running.vms()[0]) is way_out
