"""What the resources mean for traffic: the load balancer's orders, a machine's packet filter. Pure.

Security groups themselves are in nsg.py and nft.py; the effects are in fabric.py.
"""

from collections.abc import Iterable

from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.compute.vm_records import Instance, backend_pools, instances, security_groups
from lab.azure.fabric.packet_filter import ruleset
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
from lab.azure.platform_addresses import METADATA, PLATFORM


def configuration(store: Store) -> Configuration:
    """Everything that the load balancer's process has to do."""
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


def packet_filter(store: Store, instance: Instance) -> str:
    """Input for ``nft -f``: the machine's security groups, and its way out if it has none."""
    network = _network(store, instance)
    filters = ruleset(
        _groups(store, instance),
        _space(network),
        # The load balancer has judged what comes by the host's end of the bridge.
        trusted=(docker_network(network.id, network.inputs).gateway,),
    )
    inside = (*_space(network).prefixes, PLATFORM, METADATA)
    return filters + _way_out(open=has_way_out(store, instance), inside=inside)


def has_way_out(store: Store, instance: Instance) -> bool:
    """Whether the machine reaches the Internet: by NAT gateway, balancer, or Azure's default."""
    subnet = store.get(instance.subnet)
    inputs = subnet.inputs if subnet else {}
    if inputs.get("natGateway"):
        gateway = store.get(inputs["natGateway"]["id"])
        return bool(gateway and gateway.inputs.get("publicIpAddresses"))
    pools = {pool.lower() for pool in backend_pools(instance)}
    by_balancer = any(
        rule["backendAddressPool"]["id"].lower() in pools and not rule.get("disableOutboundSnat")
        for balancer in store.list(LOAD_BALANCER)
        for rule in balancer.inputs.get(RULES) or []
    )
    # API 2024-05-01 gives a subnet outbound access unless it is told not to.
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
    members = [
        instance
        for instance in instances(store)
        if pool in {each.lower() for each in backend_pools(instance)}
    ]
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


def _security(store: Store, members: list[Instance]) -> Security:
    """Of a pool's machines, which share subnet and interface settings: one scale set a pool."""
    if not members:
        return Security(groups=(), space=AddressSpace(prefixes=()))
    newest = max(members, key=lambda instance: instance.created)
    return Security(groups=_groups(store, newest), space=_space(_network(store, newest)))


def _groups(store: Store, instance: Instance) -> tuple[SecurityGroup, ...]:
    found = [store.get(id) for id in security_groups(store, instance)]
    return tuple(security_group(group.name, group.inputs) for group in found if group is not None)


def _network(store: Store, instance: Instance) -> Resource:
    network = store.get(instance.subnet.rsplit("/subnets/", 1)[0])
    assert network is not None, "a network with machines in it can't be deleted"
    return network


def _space(network: Resource) -> AddressSpace:
    return AddressSpace(prefixes=tuple(network.inputs["addressSpace"]["addressPrefixes"]))


def _public_address(store: Store, frontend: JsonObject) -> str:
    address = store.get(frontend["publicIPAddress"]["id"])
    assert address is not None, "an address in use can't be deleted"
    return str(address.outputs["ipAddress"])
