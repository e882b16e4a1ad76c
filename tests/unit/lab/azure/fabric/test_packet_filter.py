"""Security groups as a packet filter."""

import pytest

from lab.azure.fabric.packet_filter import ruleset
from lab.azure.network.security_groups import security_group
from lab.azure.network.security_rules import AddressSpace
from tests.unit.lab.azure.load_balancer.pool import allow

SPACE = AddressSpace(prefixes=("10.31.0.0/16",))


def chain(text: str, name: str) -> list[str]:
    """The lines of one chain of a ruleset."""
    _, _, rest = text.partition(f"  chain {name} {{\n")
    body, _, _ = rest.partition("\n  }")
    return [line.strip() for line in body.splitlines()]


def own_lines(*rules: dict[str, object], direction: str = "inbound") -> list[str]:
    """What the rules of a group become, without the six default rules."""
    text = ruleset([security_group("core", {"securityRules": list(rules)})], SPACE)
    return [line for line in chain(text, f"{direction}-0") if "Bound" not in line]


def test_the_table_is_replaced_as_a_whole() -> None:
    """`table` first, because deleting one that isn't there would fail."""
    lines = ruleset([], SPACE).splitlines()

    assert lines[:3] == ["table inet azure", "delete table inet azure", "table inet azure {"]


def test_rules_are_in_the_order_of_their_priority() -> None:
    deny = allow("deny", 200, "*", "*", access="Deny")
    lines = own_lines(deny, allow("web", 100, "*", "80", protocol="Tcp"))

    assert lines == [
        'meta l4proto tcp th dport { 80 } return comment "web"',
        'drop comment "deny"',
    ]


def test_every_group_is_asked_and_any_may_drop() -> None:
    groups = [security_group("subnet", {}), security_group("interface", {})]

    text = ruleset(groups, SPACE)

    assert chain(text, "inbound")[-2:] == ["jump inbound-0", "jump inbound-1"]
    assert chain(text, "inbound-1")[-1] == 'drop comment "DenyAllInBound"'


def test_without_groups_vms_are_open_to_each_other() -> None:
    """As on Azure; only what comes by a public address needs a group."""
    assert not [line for line in chain(ruleset([], SPACE), "inbound") if "jump" in line]


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("*", ""),
        ("10.31.0.4", "ip saddr { 10.31.0.4/32 } "),
        ("VirtualNetwork", "ip saddr { 10.31.0.0/16, 168.63.129.16/32 } "),
        ("AzureLoadBalancer", "ip saddr { 168.63.129.16/32 } "),
    ],
)
def test_terms_become_sets_of_addresses(source: str, match: str) -> None:
    (line,) = own_lines(allow("ssh", 100, source, "22", protocol="Tcp"))

    assert line == f'{match}meta l4proto tcp th dport {{ 22 }} return comment "ssh"'


def test_the_internet_is_what_is_neither_inside_nor_private() -> None:
    (line,) = own_lines(allow("web", 100, "Internet", "80", protocol="Tcp"))

    assert line.startswith("ip saddr != { 10.0.0.0/8, ")
    assert "168.63.129.16/32" in line


def test_neighbours_and_overlaps_are_merged_because_nft_refuses_them() -> None:
    lists = allow(
        "lists",
        100,
        "",
        "",
        sourceAddressPrefixes=["10.31.0.0/24", "10.31.1.0/24"],
        destinationPortRanges=["9005-9020", "9000-9010", "9021"],
    )

    (line,) = own_lines(lists)

    assert "{ 10.31.0.0/23 }" in line
    assert "th dport { 9000-9021 }" in line


def test_a_rule_for_any_protocol_with_ports_is_about_tcp_and_udp() -> None:
    (line,) = own_lines(allow("voice", 100, "*", "64738"))

    assert line == 'meta l4proto { tcp, udp } th dport { 64738 } return comment "voice"'


def test_icmp_has_no_ports() -> None:
    assert own_lines(allow("ping", 100, "*", "*", protocol="Icmp")) == [
        'meta l4proto icmp return comment "ping"'
    ]


def test_source_ports_are_matched() -> None:
    (line,) = own_lines(allow("low", 100, "*", "80", protocol="Tcp", sourcePortRange="1-1023"))

    assert "th sport { 1-1023 } th dport { 80 }" in line


def test_outbound_rules_are_on_the_way_out() -> None:
    closed = allow("closed", 100, "*", "443", direction="Outbound", access="Deny")

    assert own_lines(closed, direction="outbound") == [
        'meta l4proto { tcp, udp } th dport { 443 } drop comment "closed"'
    ]
    assert own_lines(closed) == []


def test_the_platform_is_always_reached() -> None:
    lines = chain(ruleset([security_group("core", {})], SPACE), "outbound")

    assert "ip daddr { 168.63.129.16/32, 169.254.169.254/32 } accept" in lines


def test_traffic_from_the_balancer_is_not_filtered_again() -> None:
    lines = chain(ruleset([], SPACE, trusted=("10.31.0.1",)), "inbound")

    assert "ip saddr { 10.31.0.1/32, 198.18.0.0/15 } accept" in lines
