"""Network security groups: which packets pass, by Azure's rules. Pure.

The load balancer evaluates them for a client and a VM's port; `fabric.packet_filter` turns the same
rules into a packet filter for traffic between VMs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from lab.azure.host.platform_addresses import PLATFORM

Direction = Literal["Inbound", "Outbound"]

ANY = "*"
INTERNET = "Internet"
VIRTUAL_NETWORK = "VirtualNetwork"
LOAD_BALANCER = "AzureLoadBalancer"
PLATFORM_TAGS = frozenset({"Storage", "AzureKeyVault"})
"""Tags of the services that the lab serves from its platform address (regions included)."""
TAGS = frozenset({INTERNET, VIRTUAL_NETWORK, LOAD_BALANCER}) | PLATFORM_TAGS

PRIVATE = tuple(
    IPv4Network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""Not the Internet, even outside the virtual network. Loopback counts as the Internet: the lab's
clients have loopback addresses."""

PROTOCOLS = frozenset({"*", "Tcp", "Udp", "Icmp", "Esp", "Ah"})


@dataclass(frozen=True, kw_only=True)
class Ports:
    """An inclusive range of ports."""

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


ALL_PORTS = Ports(first=0, last=65535)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One security rule. Addresses are ``*``, a tag, an address or a prefix in CIDR notation."""

    name: str
    priority: int
    direction: Direction
    allow: bool
    protocol: str
    sources: tuple[str, ...]
    source_ports: tuple[Ports, ...]
    destinations: tuple[str, ...]
    destination_ports: tuple[Ports, ...]


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """A group's rules with Azure's defaults, by priority within a direction."""

    name: str
    rules: tuple[Rule, ...]

    def towards(self, direction: Direction) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.direction == direction)


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What a rule matches: ``protocol`` is Tcp, Udp or Icmp; ports of Icmp are 0."""

    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a flow passes, and the rule that decided."""

    allowed: bool
    rule: str


@dataclass(frozen=True, kw_only=True)
class AddressSpace:
    """The prefixes of the tag VirtualNetwork, besides the platform's address."""

    prefixes: tuple[str, ...]

    def matches(self, term: str, address: str) -> bool:
        match term:
            case "*":
                return True
            case "VirtualNetwork":
                return address == PLATFORM or self._inside(address)
            case "AzureLoadBalancer":
                return address == PLATFORM
            case "Internet":
                return self._is_internet(address)
            case _ if base_tag(term) in PLATFORM_TAGS:
                return address == PLATFORM
            case _:
                return IPv4Address(address) in network(term)

    def _inside(self, address: str) -> bool:
        return any(IPv4Address(address) in network(prefix) for prefix in self.prefixes)

    def _is_internet(self, address: str) -> bool:
        outside = address != PLATFORM and not self._inside(address)
        return outside and not any(IPv4Address(address) in network for network in PRIVATE)


def evaluate(
    groups: Sequence[SecurityGroup], direction: Direction, flow: Flow, space: AddressSpace
) -> Verdict:
    """Whether the first packet of a flow passes; groups are stateful, so answers pass.

    Every group must allow it: Azure evaluates the subnet's and the interface's separately.
    """
    verdict = Verdict(allowed=True, rule="no security group")
    for group in groups:
        verdict = _decide(group, direction, flow, space)
        if not verdict.allowed:
            break
    return verdict


def base_tag(term: str) -> str:
    """``Storage.WestEurope`` is the tag ``Storage`` limited to a region."""
    return term.partition(".")[0]


def _decide(group: SecurityGroup, direction: Direction, flow: Flow, space: AddressSpace) -> Verdict:
    for rule in group.towards(direction):
        if _applies(rule, flow, space):
            return Verdict(allowed=rule.allow, rule=f"{group.name}/{rule.name}")
    raise AssertionError("the default rules match everything")


def _applies(rule: Rule, flow: Flow, space: AddressSpace) -> bool:
    return (
        rule.protocol in (ANY, flow.protocol)
        and any(flow.destination_port in ports for ports in rule.destination_ports)
        and any(flow.source_port in ports for ports in rule.source_ports)
        and any(space.matches(term, flow.source) for term in rule.sources)
        and any(space.matches(term, flow.destination) for term in rule.destinations)
    )


@cache
def network(text: str) -> IPv4Network:
    return IPv4Network(text)


def _default(name: str, priority: int, direction: Direction, source: str, to: str) -> Rule:
    return Rule(
        name=name,
        priority=priority,
        direction=direction,
        allow=name.startswith("Allow"),
        protocol=ANY,
        sources=(source,),
        source_ports=(ALL_PORTS,),
        destinations=(to,),
        destination_ports=(ALL_PORTS,),
    )


DEFAULT_RULES = (
    _default("AllowVnetInBound", 65000, "Inbound", VIRTUAL_NETWORK, VIRTUAL_NETWORK),
    _default("AllowAzureLoadBalancerInBound", 65001, "Inbound", LOAD_BALANCER, ANY),
    _default("DenyAllInBound", 65500, "Inbound", ANY, ANY),
    _default("AllowVnetOutBound", 65000, "Outbound", VIRTUAL_NETWORK, VIRTUAL_NETWORK),
    _default("AllowInternetOutBound", 65001, "Outbound", ANY, INTERNET),
    _default("DenyAllOutBound", 65500, "Outbound", ANY, ANY),
)
"""Azure adds these rules to every group, with exactly these names."""
