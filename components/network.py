"""The network: VNet, the machines' subnet, what may enter it (NSG) and how they get out (NAT).

Nothing is open that is not in the table of `rules`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native import network

from contract.ports import ETCD, HTTP, HTTPS, INSTANCE_PORTS, SSH, span

# Nodes give these to instances (cloud-config/bin/host-ports), and Linux to outgoing connections.
SERVICE_ENDPOINTS = ("Microsoft.KeyVault", "Microsoft.Storage")


@dataclass(kw_only=True, frozen=True)
class NetworkArgs:
    resource_group_name: pulumi.Input[str]
    vnet_cidr: IPv4Network
    core_subnet: IPv4Network
    """The machines' part of the network."""
    admin_cidrs: Sequence[IPv4Network]
    """From where SSH is allowed."""
    tcp_ports: Sequence[int]
    udp_ports: Sequence[int]
    """Ports of services, open to everybody."""
    zonal: bool
    """Whether the machines are in availability zones; the NAT gateway's address follows."""


@dataclass(kw_only=True, frozen=True)
class Rule:
    """One line of the table: who may reach which ports of the machines."""

    name: str
    sources: tuple[str, ...]
    ports: tuple[str, ...]
    protocol: str = "Tcp"
    access: str = "Allow"


def rules(args: NetworkArgs) -> list[Rule]:
    """What may enter the subnet, first match first. Rules see the client's address, and ports
    behind the load balancer's translation.
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
        # after all others, whose priorities then stay
        *published,
        # Azure's own default rules would let in the whole VNet
        Rule(name="nothing-else", sources=("*",), ports=("*",), protocol="*", access="Deny"),
    ]


class Network(pulumi.ComponentResource):
    """Outputs: `subnet_id`, of the machines' subnet."""

    subnet_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:Network", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)

        # Subnets are resources of their own: a VNet with inline subnets deletes the others.
        vnet = network.VirtualNetwork(
            f"{name}-vnet",
            resource_group_name=args.resource_group_name,
            address_space=network.AddressSpaceArgs(address_prefixes=[str(args.vnet_cidr)]),
            opts=child,
        )

        # What may enter.
        security_group = network.NetworkSecurityGroup(
            f"{name}-core",
            resource_group_name=args.resource_group_name,
            security_rules=[
                _security_rule(rule, 100 + 10 * index, str(args.core_subnet))
                for index, rule in enumerate(rules(args))
            ],
            opts=child,
        )

        # How machines reach the Internet: they have no public address of their own.
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
            # storage and vault let in this subnet by these
            service_endpoints=[
                network.ServiceEndpointPropertiesFormatArgs(service=service)
                for service in SERVICE_ENDPOINTS
            ],
            opts=child,
        )

        self.subnet_id = subnet.id
        self.register_outputs({"subnet_id": self.subnet_id})


def _security_rule(rule: Rule, priority: int, machines: str) -> network.SecurityRuleArgs:
    """One value goes into the singular property, several into the plural one: Azure wants it so."""
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
