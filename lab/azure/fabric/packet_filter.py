"""Security groups as an nftables ruleset for one VM: table ``inet azure`` in its namespace.

It filters what bypasses the load balancer: traffic between VMs and out of them. It hooks in before
Docker's DNAT and after its SNAT, because Azure's filter sees the addresses and ports on the wire.
Both chains are stateful.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, collapse_addresses

from lab.azure.host.platform_addresses import METADATA, PLATFORM
from lab.azure.load_balancer.client_addresses import CLIENTS
from lab.azure.network.security_rules import (
    ALL_PORTS,
    ANY,
    INTERNET,
    LOAD_BALANCER,
    PLATFORM_TAGS,
    PRIVATE,
    VIRTUAL_NETWORK,
    AddressSpace,
    Direction,
    Ports,
    Rule,
    SecurityGroup,
    base_tag,
)

BEFORE_DNAT = -150
AFTER_SNAT = 110


def ruleset(
    groups: Sequence[SecurityGroup],
    space: AddressSpace,
    *,
    interface: str = "eth0",
    trusted: Sequence[str] = (),
) -> str:
    """The input of ``nft -f -`` that replaces the table as a whole.

    Traffic from ``trusted`` addresses was filtered elsewhere: the host's end of the bridge, from
    which probes come. The addresses of the load balancer's clients are always trusted.
    """
    lines = ["table inet azure", "delete table inet azure", "table inet azure {"]
    lines += _chain("inbound", "prerouting", BEFORE_DNAT, f'iifname != "{interface}" accept')
    lines += [f"    ip saddr {_set((*trusted, str(CLIENTS)))} accept"]
    lines += [f"    jump inbound-{n}" for n in range(len(groups))]
    lines += ["  }"]
    lines += _chain("outbound", "postrouting", AFTER_SNAT, f'oifname != "{interface}" accept')
    # As on Azure, security groups do not apply to the platform's own services.
    lines += [f"    ip daddr {_set((PLATFORM, METADATA))} accept"]
    lines += [f"    jump outbound-{n}" for n in range(len(groups))]
    lines += ["  }"]
    for number, group in enumerate(groups):
        for direction in _DIRECTIONS:
            lines += [f"  chain {direction.lower()}-{number} {{"]
            lines += [
                f"    {line}" for rule in group.towards(direction) for line in _lines(rule, space)
            ]
            lines += ["  }"]
    return "\n".join([*lines, "}", ""])


_DIRECTIONS: tuple[Direction, ...] = ("Inbound", "Outbound")


def _chain(name: str, hook: str, priority: int, elsewhere: str) -> list[str]:
    return [
        f"  chain {name} {{",
        f"    type filter hook {hook} priority {priority}; policy accept;",
        f"    {elsewhere}",
        "    ct state established,related accept",
        # The virtual network has no IPv6 range.
        "    meta nfproto ipv6 drop",
    ]


def _lines(rule: Rule, space: AddressSpace) -> Iterator[str]:
    # `return` continues with the next group: every group must allow the packet.
    action = "return" if rule.allow else "drop"
    source = _addresses("saddr", rule.sources, space)
    destination = _addresses("daddr", rule.destinations, space)
    for transport in _transports(rule):
        terms = [source, destination, transport, action, f'comment "{rule.name}"']
        yield " ".join(term for term in terms if term)


def _addresses(field: str, terms: Sequence[str], space: AddressSpace) -> str:
    """One tag or `*`, or several prefixes: Azure allows no mixture."""
    if ANY in terms:
        return ""
    if INTERNET in terms:
        inside = {PLATFORM, *space.prefixes, *(str(network) for network in PRIVATE)}
        return f"ip {field} != {_set(inside)}"
    return f"ip {field} {_set(address for term in terms for address in _expand(term, space))}"


def _expand(term: str, space: AddressSpace) -> tuple[str, ...]:
    if term == VIRTUAL_NETWORK:
        return (*space.prefixes, PLATFORM)
    if term == LOAD_BALANCER or base_tag(term) in PLATFORM_TAGS:
        return (PLATFORM,)
    return (term,)


def _transports(rule: Rule) -> Iterator[str]:
    ports = _ports("sport", rule.source_ports) + _ports("dport", rule.destination_ports)
    match rule.protocol:
        case "*" if not ports:
            yield ""
        case "*":
            yield f"meta l4proto {{ tcp, udp }} {ports}".rstrip()
        case "Tcp" | "Udp":
            yield f"meta l4proto {rule.protocol.lower()} {ports}".rstrip()
        case other:
            yield f"meta l4proto {other.lower()}"


def _ports(field: str, ranges: Sequence[Ports]) -> str:
    if ALL_PORTS in ranges:
        return ""
    return f"th {field} {{ {', '.join(str(ports) for ports in _merged(ranges))} }} "


def _merged(ranges: Sequence[Ports]) -> Iterator[Ports]:
    """The same ports without overlaps, which nft refuses in a set."""
    current, *others = sorted(ranges, key=lambda ports: ports.first)
    for ports in others:
        if ports.first <= current.last + 1:
            current = Ports(first=current.first, last=max(current.last, ports.last))
        else:
            yield current
            current = ports
    yield current


def _set(addresses: Iterable[str]) -> str:
    networks = collapse_addresses(IPv4Network(address) for address in addresses)
    return f"{{ {', '.join(str(network) for network in networks)} }}"
