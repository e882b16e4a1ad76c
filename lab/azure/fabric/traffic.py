"""What resources mean for traffic: the load balancer's configuration, a VM's packet filter. Pure.

`updater` puts them into effect.
"""

from collections.abc import Iterable

from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.compute.vm_records import Vm, backend_pools, security_groups, vms
from lab.azure.fabric.packet_filter import ruleset
from lab.azure.host.platform_addresses import METADATA, PLATFORM
from lab.azure.load_balancer.config import (
    Backend,
    BalancingRule,
    Configuration,
    Frontend,
    Probe,
    Security,
)
from lab.azure.network.load_balancers import FRONTENDS, PROBES, RULES
from lab.azure.network.resource_types import LOAD_BALANCER
from lab.azure.network.security_groups import security_group
from lab.azure.network.security_rules import AddressSpace, SecurityGroup
from lab.azure.network.virtual_networks import docker_network


def configuration(store: Store) -> Configuration:
    """The configuration of the load balancer's process."""
    return Configuration(
        frontends=tuple(
            Frontend(
                address=_public_address(store, frontend),
                rules=tuple(
                    _rule(store, balancer, rule)
                    for rule in balancer.inputs.get(RULES) or []
                    if rule["frontendIPConfiguration"]["id"].lower()
                    == f"{balancer.id}/{FRONTENDS}/{frontend['name']}".lower()
                ),
            )
            for balancer in store.list(LOAD_BALANCER)
            for frontend in balancer.inputs.get(FRONTENDS) or []
        )
    )


def packet_filter(store: Store, vm: Vm) -> str:
    """Input for ``nft -f``: the VM's security groups, and its way out if it has none."""
    network = _network(store, vm)
    filters = ruleset(
        _groups(store, vm),
        _space(network),
        # The load balancer has filtered what comes from the host's end of the bridge.
        trusted=(docker_network(network.id, network.inputs).gateway,),
    )
    inside = (*_space(network).prefixes, PLATFORM, METADATA)
    return filters + _way_out(open=has_way_out(store, vm), inside=inside)


def has_way_out(store: Store, vm: Vm) -> bool:
    """Whether the VM reaches the Internet: by NAT gateway, load balancer or default access."""
    subnet = store.get(vm.subnet)
    inputs = subnet.inputs if subnet else {}
    if inputs.get("natGateway"):
        gateway = store.get(inputs["natGateway"]["id"])
        return bool(gateway and gateway.inputs.get("publicIpAddresses"))
    pools = {pool.lower() for pool in backend_pools(vm)}
    by_balancer = any(
        rule["backendAddressPool"]["id"].lower() in pools and not rule.get("disableOutboundSnat")
        for balancer in store.list(LOAD_BALANCER)
        for rule in balancer.inputs.get(RULES) or []
    )
    # API 2024-05-01 gives a subnet outbound access unless this property is false.
    return by_balancer or inputs.get("defaultOutboundAccess") is not False


def _way_out(*, open: bool, inside: Iterable[str]) -> str:
    lines = ["table inet egress", "delete table inet egress"]
    if not open:
        lines += [
            "table inet egress {",
            "  chain out {",
            "    type filter hook postrouting priority 120; policy accept;",
            '    oifname != "eth0" accept',
            "    ct direction reply accept",
            f"    ip daddr != {{ {', '.join(inside)} }} drop",
            "  }",
            "}",
        ]
    return "\n".join([*lines, ""])


def _rule(store: Store, balancer: Resource, rule: JsonObject) -> BalancingRule:
    pool = rule["backendAddressPool"]["id"].lower()
    members = [vm for vm in vms(store) if pool in {each.lower() for each in backend_pools(vm)}]
    return BalancingRule(
        id=f"{balancer.id}/{RULES}/{rule['name']}",
        protocol=rule["protocol"],
        frontend_port=rule["frontendPort"],
        backend_port=rule["backendPort"],
        backends=tuple(Backend(name=each.id, address=each.address) for each in members),
        security=_security(store, members),
        probe=_probe(balancer, rule),
        distribution=rule.get("loadDistribution", "Default"),
        idle_timeout_minutes=rule.get("idleTimeoutInMinutes", 4),
        tcp_reset=bool(rule.get("enableTcpReset")),
    )


def _probe(balancer: Resource, rule: JsonObject) -> Probe | None:
    if not rule.get("probe"):
        return None
    id = rule["probe"]["id"]
    probe = next(
        each
        for each in balancer.inputs[PROBES]
        if id.lower() == f"{balancer.id}/{PROBES}/{each['name']}".lower()
    )
    return Probe(
        id=f"{balancer.id}/{PROBES}/{probe['name']}",
        protocol=probe["protocol"],
        port=probe["port"],
        path=probe.get("requestPath", "/"),
        interval=probe.get("intervalInSeconds", 15),
        threshold=probe.get("probeThreshold", 1),
    )


def _security(store: Store, members: list[Vm]) -> Security:
    """A pool's VMs are of one scale set, so they share subnet and interface settings."""
    if not members:
        return Security(groups=(), space=AddressSpace(prefixes=()))
    newest = max(members, key=lambda vm: vm.created)
    return Security(groups=_groups(store, newest), space=_space(_network(store, newest)))


def _groups(store: Store, vm: Vm) -> tuple[SecurityGroup, ...]:
    found = [store.get(id) for id in security_groups(store, vm)]
    return tuple(security_group(group.name, group.inputs) for group in found if group is not None)


def _network(store: Store, vm: Vm) -> Resource:
    network = store.get(vm.subnet.rsplit("/subnets/", 1)[0])
    assert network is not None, "a network with VMs in it can't be deleted"
    return network


def _space(network: Resource) -> AddressSpace:
    return AddressSpace(prefixes=tuple(network.inputs["addressSpace"]["addressPrefixes"]))


def _public_address(store: Store, frontend: JsonObject) -> str:
    address = store.get(frontend["publicIPAddress"]["id"])
    assert address is not None, "an address in use can't be deleted"
    return str(address.outputs["ipAddress"])
