"""Network security groups: which packets pass, by Azure's rules. Pure.

Both ends use it: the load balancer asks about a client and a machine's port, and nft.py turns the
same rules into a packet filter for traffic between machines. A tag or a field that isn't modelled
is refused when the group is read, so that no rule is ever evaluated as something it doesn't say.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

from lab.azure.arm.errors import AzureError, not_modelled

Direction = Literal["Inbound", "Outbound"]

PLATFORM = "168.63.129.16"
"""Azure's own address on every network: DNS, probes and, in the lab, storage and vault."""

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
"""Not the Internet, even outside the virtual network. Loopback is: the lab's clients are there."""

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
    """What a rule looks at: ``protocol`` is Tcp, Udp or Icmp; ports of Icmp are 0."""

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
    """The prefixes that the tag VirtualNetwork stands for, besides the platform's address."""

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
                return IPv4Address(address) in _network(term)

    def _inside(self, address: str) -> bool:
        return any(IPv4Address(address) in _network(prefix) for prefix in self.prefixes)

    def _is_internet(self, address: str) -> bool:
        outside = address != PLATFORM and not self._inside(address)
        return outside and not any(IPv4Address(address) in network for network in PRIVATE)


def evaluate(
    groups: Sequence[SecurityGroup], direction: Direction, flow: Flow, space: AddressSpace
) -> Verdict:
    """What happens to the first packet of a flow (answers pass: groups are stateful).

    Every group must let it pass: Azure asks the subnet's and the interface's, each by itself.
    """
    verdict = Verdict(allowed=True, rule="no security group")
    for group in groups:
        verdict = _decide(group, direction, flow, space)
        if not verdict.allowed:
            break
    return verdict


def security_group(name: str, inputs: Mapping[str, Any]) -> SecurityGroup:
    """Reads azure-native's inputs of a NetworkSecurityGroup. Raises AzureError as ARM would."""
    own = [_rule(raw) for raw in inputs.get("securityRules") or ()]
    taken: dict[tuple[Direction, int], str] = {}
    for rule in own:
        other = taken.setdefault((rule.direction, rule.priority), rule.name)
        if other != rule.name:
            raise AzureError(
                "SecurityRuleConflict",
                f"Security rule {rule.name} conflicts with rule {other}. Rules cannot have the "
                f"same Priority ({rule.priority}) and Direction ({rule.direction}).",
            )
    return SecurityGroup(name=name, rules=_by_priority([*own, *DEFAULT_RULES]))


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


def _by_priority(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=lambda rule: (rule.direction, rule.priority)))


def _rule(raw: Mapping[str, Any]) -> Rule:
    name = raw.get("name") or "(unnamed)"
    for field in ("sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups"):
        if raw.get(field):
            raise not_modelled(f"application security groups (rule {name}, {field})")
    priority = int(raw["priority"])
    if not 100 <= priority <= 4096:
        raise AzureError(
            "SecurityRuleInvalidPriority",
            f"Security rule {name} has invalid priority {priority}. Allowed: 100 to 4096.",
        )
    if raw["protocol"] not in PROTOCOLS:
        raise AzureError(
            "SecurityRuleInvalidProtocol",
            f"Security rule {name} has invalid protocol {raw['protocol']!r}.",
        )
    return Rule(
        name=name,
        priority=priority,
        direction=_one_of(name, "direction", raw["direction"], "Inbound", "Outbound"),
        allow=_one_of(name, "access", raw["access"], "Allow", "Deny") == "Allow",
        protocol=raw["protocol"],
        sources=_addresses(name, raw, "sourceAddressPrefix"),
        source_ports=_ports(name, raw, "sourcePortRange"),
        destinations=_addresses(name, raw, "destinationAddressPrefix"),
        destination_ports=_ports(name, raw, "destinationPortRange"),
    )


def _one_of(rule: str, field: str, value: str, *allowed: str) -> Any:
    if value not in allowed:
        raise AzureError(
            f"SecurityRuleInvalid{field.capitalize()}",
            f"Security rule {rule} has invalid {field} {value!r}. Allowed: {', '.join(allowed)}.",
        )
    return value


def _terms(raw: Mapping[str, Any], field: str, plural: str) -> tuple[str, ...]:
    single, several = raw.get(field), raw.get(plural) or ()
    return (single, *several) if single else tuple(several)


def _addresses(rule: str, raw: Mapping[str, Any], field: str) -> tuple[str, ...]:
    terms = _terms(raw, field, f"{field}es")
    if not terms:
        raise AzureError("SecurityRuleParameterContainsNoValue", f"Rule {rule} has no {field}.")
    for term in terms:
        if term != ANY and base_tag(term) not in TAGS and not _is_network(term):
            if term[0].isalpha():
                raise not_modelled(f"the service tag {term!r} (rule {rule}, {field})")
            raise AzureError(
                "SecurityRuleInvalidAddressPrefix",
                f"Security rule {rule} has invalid address prefix {term!r} in {field}.",
            )
    _check_several(rule, tuple(raw.get(f"{field}es") or ()), field)
    return terms


def _check_several(rule: str, terms: tuple[str, ...], field: str) -> None:
    """A list of prefixes holds prefixes only, and each address once."""
    for term in terms:
        if not _is_network(term):
            raise AzureError(
                "SecurityRuleParameterContainsUnsupportedValue",
                f"Security rule {rule} names {term!r} in {field}es: tags and '*' go into {field}.",
            )
    for one, other in itertools.combinations(terms, 2):
        if _network(one).overlaps(_network(other)):
            raise AzureError(
                "OverlappingSubnetsNotPermittedInSecurityRule",
                f"Security rule {rule} has overlapping subnets {one} and {other} in {field}es.",
            )


def _ports(rule: str, raw: Mapping[str, Any], field: str) -> tuple[Ports, ...]:
    terms = _terms(raw, field, f"{field}s")
    if not terms:
        raise AzureError("SecurityRuleParameterContainsNoValue", f"Rule {rule} has no {field}.")
    return tuple(_port_range(rule, field, str(term)) for term in terms)


def _port_range(rule: str, field: str, text: str) -> Ports:
    if text == ANY:
        return ALL_PORTS
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() if dash else True):
        ports = Ports(first=int(first), last=int(last or first))
        if ports.first <= ports.last <= 65535:
            return ports
    raise AzureError(
        "SecurityRuleInvalidPortRange",
        f"Security rule {rule} has invalid port range {text!r} in {field}.",
    )


def _is_network(text: str) -> bool:
    try:
        IPv4Network(text)
    except ValueError:
        return False
    return True


@cache
def _network(text: str) -> IPv4Network:
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
"""What every group has besides its own rules; Azure shows them with exactly these names."""
