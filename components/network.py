"""The network: VNet, the nodes' subnet, its security group, and its NAT gateway.

Only the traffic in the table of `rules` is allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native import network

from contract.ports import ETCD, HTTP, HTTPS, INSTANCE_PORTS, SSH, span

# Nodes give these to instances (cloud-config/bin/host-ports), Linux gives them to connections.
SERVICE_ENDPOINTS = ("Microsoft.KeyVault", "Microsoft.Storage")


@dataclass(kw_only=True, frozen=True)
class NetworkArgs:
    resource_group_name: pulumi.Input[str]
    vnet_cidr: IPv4Network
    core_subnet: IPv4Network
    """The nodes' part of the network."""
    admin_cidrs: Sequence[IPv4Network]
    """The ranges from which SSH is allowed."""
    tcp_ports: Sequence[int]
    udp_ports: Sequence[int]
    """Ports of services, open to the Internet."""
    zonal: bool
    """Whether the nodes are in availability zones; the NAT gateway's address is in them, too."""


@dataclass(kw_only=True, frozen=True)
class Rule:
    """One row of the table: sources that may reach certain ports of the nodes."""

    name: str
    sources: tuple[str, ...]
    ports: tuple[str, ...]
    protocol: str = "Tcp"
    access: str = "Allow"


def rules(args: NetworkArgs) -> list[Rule]:
    """The allowed traffic into the subnet. The first match decides. Rules see the client's address,
    and the ports after the load balancer's translation.
    """
    machines = (str(args.core_subnet),)
    admins = tuple(sorted(str(cidr) for cidr in args.admin_cidrs))
    published = [
        Rule(
            name=f"{protocol}-{port}", sources=("*",), ports=(str(port),), protocol=protocol.title()
        )
        for protocol, ports in (("tcp", args.tcp_ports), ("udp", args.udp_ports))
        for port in ports
    ]
    return [
        Rule(name="web", sources=("*",), ports=(str(HTTP), str(HTTPS))),
        Rule(name="ssh-from-admins", sources=admins, ports=(str(SSH),)),
        Rule(name="load-balancer-probes", sources=("AzureLoadBalancer",), ports=("*",)),
        Rule(
            name="etcd-between-machines",
            sources=machines,
            ports=(span(ETCD),),
        ),
        Rule(
            name="instances-between-machines",
            sources=machines,
            ports=(span(INSTANCE_PORTS),),
            protocol="*",
        ),
        Rule(name="ping-between-machines", sources=machines, ports=("*",), protocol="Icmp"),
        # after all others, so that their priorities do not change
        *published,
        # Azure's default rules would admit the whole VNet
        Rule(name="nothing-else", sources=("*",), ports=("*",), protocol="*", access="Deny"),
    ]


class Network(pulumi.ComponentResource):
    """Output: `subnet_id` of the nodes' subnet."""

    subnet_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:Network", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)

        # Subnets are separate resources: a VNet with inline subnets deletes all others.
        vnet = network.VirtualNetwork(
            f"{name}-vnet",
            resource_group_name=args.resource_group_name,
            address_space=network.AddressSpaceArgs(address_prefixes=[str(args.vnet_cidr)]),
            opts=child,
        )

        # The security group.
        security_group = network.NetworkSecurityGroup(
            f"{name}-core",
            resource_group_name=args.resource_group_name,
            security_rules=[
                _security_rule(rule, 100 + 10 * index, str(args.core_subnet))
                for index, rule in enumerate(rules(args))
            ],
            opts=child,
        )

        # Nodes have no public addresses and reach the Internet through a NAT gateway.
        nat_address = network.PublicIPAddress(
            f"{name}-nat",
            resource_group_name=args.resource_group_name,
            public_ip_allocation_method=network.IPAllocationMethod.STATIC,
            sku=network.PublicIPAddressSkuArgs(name=network.PublicIPAddressSkuName.STANDARD),
            zones=["1", "2", "3"] if args.zonal else None,
            opts=child,
        )
        nat_gateway = network.NatGateway(
            f"{name}-nat",
            resource_group_name=args.resource_group_name,
            public_ip_addresses=[network.SubResourceArgs(id=nat_address.id)],
            sku=network.NatGatewaySkuArgs(name=network.NatGatewaySkuName.STANDARD),
            opts=child,
        )

        subnet = network.Subnet(
            f"{name}-core",
            subnet_name="core",
            resource_group_name=args.resource_group_name,
            virtual_network_name=vnet.name,
            address_prefix=str(args.core_subnet),
            default_outbound_access=False,
            nat_gateway=network.SubResourceArgs(id=nat_gateway.id),
            network_security_group=network.NetworkSecurityGroupArgs(id=security_group.id),
            # the firewalls of storage and vault need these to admit this subnet
            service_endpoints=[
                network.ServiceEndpointPropertiesFormatArgs(service=service)
                for service in SERVICE_ENDPOINTS
            ],
            opts=child,
        )

        self.subnet_id = subnet.id
        self.register_outputs({"subnet_id": self.subnet_id})


def _security_rule(rule: Rule, priority: int, machines: str) -> network.SecurityRuleArgs:
    """Azure requires one value in the singular property, several in the plural one."""
    one_source, one_port = len(rule.sources) == 1, len(rule.ports) == 1
    return network.SecurityRuleArgs(
        name=rule.name,
        priority=priority,
        direction=network.SecurityRuleDirection.INBOUND,
        access=rule.access,
        protocol=rule.protocol,
        source_address_prefix=rule.sources[0] if one_source else None,
        source_address_prefixes=None if one_source else list(rule.sources),
        source_port_range="*",
        destination_address_prefix=machines,
        destination_port_range=rule.ports[0] if one_port else None,
        destination_port_ranges=None if one_port else list(rule.ports),
    )
