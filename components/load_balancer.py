"""One public address and a standard load balancer in front of all nodes.

Every rule leads to the routers (or SSH) of all healthy nodes, never to an application: the routers
choose the instance.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network

from contract.ports import HTTP, HTTPS, PUBLIC_SSH, ROUTER_HEALTH, SSH

FRONTEND, POOL = "public", "core"
IDLE_MINUTES = 30
"""Azure's maximum: voice calls and WebSockets may be silent for a while."""


@dataclass(kw_only=True, frozen=True)
class LoadBalancerArgs:
    resource_group_name: pulumi.Input[str]
    resource_group_id: pulumi.Input[str]
    cluster_name: str
    dns_label: str | None
    """The first label of the DNS name. None: the cluster's name and six digits."""
    tcp_ports: Sequence[int]
    udp_ports: Sequence[int]
    """Ports of services, in addition to 80, 443 and SSH."""
    zonal: bool
    """Whether the nodes are in availability zones; the address is in the same ones."""


@dataclass(kw_only=True, frozen=True)
class Rule:
    """A public port and the nodes' port behind it."""

    name: str
    frontend_port: int
    backend_port: int
    probe: str
    protocol: str = "Tcp"
    sticky: bool = False
    """Send all traffic of a client, TCP and UDP, to the same node."""


def rules(args: LoadBalancerArgs) -> list[Rule]:
    """The table of public ports."""
    services = [
        Rule(
            name=f"{protocol.lower()}-{port}",
            frontend_port=port,
            backend_port=port,
            probe="router",
            protocol=protocol,
            sticky=True,
        )
        for protocol, ports in (("Tcp", args.tcp_ports), ("Udp", args.udp_ports))
        for port in ports
    ]
    return [
        Rule(name="http", frontend_port=HTTP, backend_port=HTTP, probe="router"),
        Rule(name="https", frontend_port=HTTPS, backend_port=HTTPS, probe="router"),
        *services,
        Rule(name="ssh", frontend_port=PUBLIC_SSH, backend_port=SSH, probe="ssh", sticky=True),
    ]


class LoadBalancer(pulumi.ComponentResource):
    """Outputs: `backend_pool_id` for the nodes, `public_ip`, `host_name` (its DNS name)."""

    backend_pool_id: pulumi.Output[str]
    public_ip: pulumi.Output[str]
    host_name: pulumi.Output[str]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:LoadBalancer", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)

        address = network.PublicIPAddress(
            f"{name}-public",
            resource_group_name=args.resource_group_name,
            public_ip_allocation_method=network.IPAllocationMethod.STATIC,
            sku=network.PublicIPAddressSkuArgs(name=network.PublicIPAddressSkuName.STANDARD),
            dns_settings=network.PublicIPAddressDnsSettingsArgs(
                domain_name_label=args.dns_label or default_dns_label(args)
            ),
            idle_timeout_in_minutes=IDLE_MINUTES,
            zones=["1", "2", "3"] if args.zonal else None,
            opts=child,
        )

        # The request that creates the load balancer refers to its frontend, pool and probes by id.
        # The explicit name makes these ids known before the load balancer exists.
        balancer_name = f"{args.cluster_name}-lb"
        balancer_id = pulumi.Output.concat(
            args.resource_group_id,
            f"/providers/Microsoft.Network/loadBalancers/{balancer_name}",
        )
        balancer = network.LoadBalancer(
            f"{name}-lb",
            load_balancer_name=balancer_name,
            resource_group_name=args.resource_group_name,
            sku=network.LoadBalancerSkuArgs(name=network.LoadBalancerSkuName.STANDARD),
            frontend_ip_configurations=[
                network.FrontendIPConfigurationArgs(
                    name=FRONTEND, public_ip_address=network.PublicIPAddressArgs(id=address.id)
                )
            ],
            backend_address_pools=[network.BackendAddressPoolArgs(name=POOL)],
            probes=[
                # A draining router answers 503 and gets no new connections. A router without etcd
                # stays healthy and keeps its routes.
                network.ProbeArgs(
                    name="router",
                    protocol=network.ProbeProtocol.HTTP,
                    port=ROUTER_HEALTH,
                    request_path="/health",
                    interval_in_seconds=5,
                    probe_threshold=2,
                ),
                network.ProbeArgs(
                    name="ssh",
                    protocol=network.ProbeProtocol.TCP,
                    port=SSH,
                    interval_in_seconds=5,
                    probe_threshold=2,
                ),
            ],
            load_balancing_rules=[_balancing_rule(rule, balancer_id) for rule in rules(args)],
            opts=child,
        )

        # derived from the load balancer's id, so that the scale set waits for it
        self.backend_pool_id = pulumi.Output.concat(balancer.id, f"/backendAddressPools/{POOL}")
        self.public_ip = address.ip_address.apply(lambda found: found or "")
        self.host_name = address.dns_settings.apply(lambda dns: (dns and dns.fqdn) or "")
        self.register_outputs(
            {
                "backend_pool_id": self.backend_pool_id,
                "public_ip": self.public_ip,
                "host_name": self.host_name,
            }
        )


def default_dns_label(args: LoadBalancerArgs) -> pulumi.Output[str]:
    """The cluster's name with six digits of the resource group's id.

    Labels must be unique in a region among all Azure customers. The id contains the subscription.
    """
    return pulumi.Output.from_input(args.resource_group_id).apply(
        lambda group: f"{args.cluster_name}-{hashlib.sha256(group.encode()).hexdigest()[:6]}"
    )


def _balancing_rule(rule: Rule, balancer_id: pulumi.Output[str]) -> network.LoadBalancingRuleArgs:
    def part(kind: str, name: str) -> network.SubResourceArgs:
        return network.SubResourceArgs(id=pulumi.Output.concat(balancer_id, f"/{kind}/{name}"))

    tcp = rule.protocol == "Tcp"
    return network.LoadBalancingRuleArgs(
        name=rule.name,
        protocol=rule.protocol,
        frontend_port=rule.frontend_port,
        backend_port=rule.backend_port,
        frontend_ip_configuration=part("frontendIPConfigurations", FRONTEND),
        backend_address_pool=part("backendAddressPools", POOL),
        probe=part("probes", rule.probe),
        # not SourceIPProtocol: TCP and UDP of a call must reach the same node
        load_distribution=network.LoadDistribution.SOURCE_IP if rule.sticky else None,
        idle_timeout_in_minutes=IDLE_MINUTES if tcp else None,
        # an idle connection ends with a reset instead of silence
        enable_tcp_reset=tcp,
        enable_floating_ip=False,
        # nodes reach the Internet through the NAT gateway
        disable_outbound_snat=True,
    )
