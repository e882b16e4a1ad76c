"""The way in: one public address and a standard load balancer in front of all machines.

Every rule leads to the routers (or SSH) of all healthy machines, never to an app: which instance
serves is the routers' business.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network

from contract.ports import HTTP, HTTPS, PUBLIC_SSH, ROUTER_HEALTH, SSH

FRONTEND, POOL = "public", "core"
IDLE_MINUTES = 30
"""The longest that Azure allows: voice calls and WebSockets may be silent for a while."""


@dataclass(kw_only=True, frozen=True)
class LoadBalancerArgs:
    resource_group_name: pulumi.Input[str]
    resource_group_id: pulumi.Input[str]
    cluster_name: str
    dns_label: str | None
    """The first part of the DNS name. None: the cluster's name and six digits."""
    tcp_ports: Sequence[int]
    udp_ports: Sequence[int]
    """Ports of services, on top of 80, 443 and SSH."""
    zonal: bool
    """Whether the machines are in availability zones; the address follows."""


@dataclass(kw_only=True, frozen=True)
class Rule:
    """A public port and where it leads on the machines."""

    name: str
    frontend_port: int
    backend_port: int
    probe: str
    protocol: str = "Tcp"
    sticky: bool = False
    """All traffic of a client, TCP and UDP, to the same machine."""


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
    """Outputs: `backend_pool_id` for the machines, `public_ip`, `host_name` (its DNS name)."""

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

        # The rules name their frontend, pool and probe by id, in the same request that creates
        # them. Hence the explicit name: the ids must be known before the load balancer exists.
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
                # a router that drains answers 503, so it gets no new connections; one without etcd
                # keeps serving the routes that it has
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

        # by way of the load balancer's own id, so that the machines wait for it
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

    Labels are unique within a region, over all of Azure's customers; the id holds the subscription.
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
        # not SourceIPProtocol: TCP and UDP of a call must reach the same machine
        load_distribution=network.LoadDistribution.SOURCE_IP if rule.sticky else None,
        idle_timeout_in_minutes=IDLE_MINUTES if tcp else None,
        # an idle connection ends with a reset instead of silence
        enable_tcp_reset=tcp,
        enable_floating_ip=False,
        # machines go out through the NAT gateway
        disable_outbound_snat=True,
    )
