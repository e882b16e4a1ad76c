"""Which packets a network security group allows."""

import pytest

from lab.azure.arm.errors import AzureError
from lab.azure.network.security_groups import security_group
from lab.azure.network.security_rules import AddressSpace, Flow, Verdict, evaluate
from tests.unit.lab.azure.load_balancer.pool import allow

SPACE = AddressSpace(prefixes=("10.31.0.0/16",))
NODE, NEIGHBOUR, CLIENT, PROBE = "10.31.0.4", "10.31.0.5", "203.0.113.9", "168.63.129.16"


def inbound(source: str, port: int, *rules: dict[str, object], protocol: str = "Tcp") -> Verdict:
    flow = Flow(
        protocol=protocol,
        source=source,
        source_port=40000,
        destination=NODE,
        destination_port=port,
    )
    group = security_group("core", {"securityRules": list(rules)})
    return evaluate([group], "Inbound", flow, SPACE)


def outbound(destination: str, *rules: dict[str, object]) -> Verdict:
    flow = Flow(
        protocol="Tcp",
        source=NODE,
        source_port=40000,
        destination=destination,
        destination_port=443,
    )
    group = security_group("core", {"securityRules": list(rules)})
    return evaluate([group], "Outbound", flow, SPACE)


@pytest.mark.parametrize(
    ("source", "allowed", "rule"),
    [
        (NEIGHBOUR, True, "AllowVnetInBound"),
        (PROBE, True, "AllowVnetInBound"),
        (CLIENT, False, "DenyAllInBound"),
        ("192.168.1.1", False, "DenyAllInBound"),
    ],
)
def test_default_rules_apply_when_no_other_rule_matches(
    source: str, allowed: bool, rule: str
) -> None:
    assert inbound(source, 80) == Verdict(allowed=allowed, rule=f"core/{rule}")


def test_outbound_traffic_is_allowed_by_default() -> None:
    assert outbound(CLIENT).rule == "core/AllowInternetOutBound"
    assert outbound(NEIGHBOUR).rule == "core/AllowVnetOutBound"


def test_the_lowest_priority_number_wins_whatever_the_order() -> None:
    deny = allow("deny", 200, "*", "80", access="Deny")
    web = allow("web", 100, "*", "80")

    assert inbound(CLIENT, 80, deny, web).rule == "core/web"
    assert inbound(CLIENT, 80, allow("late", 300, "*", "80"), deny).allowed is False


@pytest.mark.parametrize(
    ("ports", "open_ports"),
    [("80", {80}), ("80-82", {80, 81, 82}), ("*", {79, 80, 81, 82, 83})],
)
def test_port_ranges_include_their_ends(ports: str, open_ports: set[int]) -> None:
    web = allow("web", 100, "*", ports)

    found = {port for port in range(79, 84) if inbound(CLIENT, port, web).allowed}

    assert found == open_ports


def test_lists_of_ports_and_prefixes_are_alternatives() -> None:
    lists = allow(
        "lists",
        100,
        "",
        "",
        sourceAddressPrefixes=["203.0.113.0/24", "198.51.100.7"],
        destinationPortRanges=["80", "443", "8000-8010"],
    )

    assert inbound(CLIENT, 8005, lists).allowed
    assert inbound("198.51.100.7", 443, lists).allowed
    assert not inbound("198.51.100.8", 443, lists).allowed
    assert not inbound(CLIENT, 8011, lists).allowed


def test_protocols_are_distinguished() -> None:
    voice = allow("voice", 100, "*", "64738", protocol="Udp")

    assert inbound(CLIENT, 64738, voice, protocol="Udp").allowed
    assert not inbound(CLIENT, 64738, voice, protocol="Tcp").allowed


@pytest.mark.parametrize(
    ("tag", "matching"),
    [
        ("Internet", {CLIENT, "127.0.0.1"}),
        ("VirtualNetwork", {NEIGHBOUR, PROBE}),
        ("AzureLoadBalancer", {PROBE}),
        ("*", {CLIENT, "127.0.0.1", NEIGHBOUR, PROBE, "192.168.1.1"}),
    ],
)
def test_service_tags_stand_for_addresses(tag: str, matching: set[str]) -> None:
    tagged = allow("tagged", 100, tag, "80")
    sources = {CLIENT, "127.0.0.1", NEIGHBOUR, PROBE, "192.168.1.1"}

    found = {each for each in sources if inbound(each, 80, tagged).rule == "core/tagged"}

    assert found == matching


def test_storage_and_vault_tags_with_a_region_mean_the_platform() -> None:
    vault = {
        **allow("vault", 100, "*", "443", direction="Outbound"),
        "destinationAddressPrefix": "AzureKeyVault.WestEurope",
    }

    assert outbound(PROBE, vault).rule == "core/vault"


def test_an_inbound_rule_does_not_affect_outbound_traffic() -> None:
    deny = allow("deny", 100, "*", "*", access="Deny")

    assert outbound(CLIENT, deny).allowed


def test_every_group_must_agree() -> None:
    web = security_group("subnet", {"securityRules": [allow("web", 100, "*", "80")]})
    closed = security_group("interface", {"securityRules": []})
    flow = Flow(protocol="Tcp", source=CLIENT, source_port=1, destination=NODE, destination_port=80)

    verdict = evaluate([web, closed], "Inbound", flow, SPACE)

    assert verdict == Verdict(allowed=False, rule="interface/DenyAllInBound")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([allow("a", 99, "*", "80")], "SecurityRuleInvalidPriority"),
        ([allow("a", 4097, "*", "80")], "SecurityRuleInvalidPriority"),
        ([allow("a", 100, "*", "80"), allow("b", 100, "*", "81")], "SecurityRuleConflict"),
        ([allow("a", 100, "*", "82-80")], "SecurityRuleInvalidPortRange"),
        ([allow("a", 100, "*", "70000")], "SecurityRuleInvalidPortRange"),
        ([allow("a", 100, "*", "http")], "SecurityRuleInvalidPortRange"),
        ([allow("a", 100, "10.0.0.1/8", "80")], "SecurityRuleInvalidAddressPrefix"),
        ([allow("a", 100, "10.0.0.300", "80")], "SecurityRuleInvalidAddressPrefix"),
        ([allow("a", 100, "", "80")], "SecurityRuleParameterContainsNoValue"),
        (
            [allow("a", 100, "", "80", sourceAddressPrefixes=["Internet", "10.0.0.4"])],
            "SecurityRuleParameterContainsUnsupportedValue",
        ),
        (
            [allow("a", 100, "", "80", sourceAddressPrefixes=["10.0.0.0/24", "10.0.0.4"])],
            "OverlappingSubnetsNotPermittedInSecurityRule",
        ),
        ([allow("a", 100, "*", "80", protocol="Sctp")], "SecurityRuleInvalidProtocol"),
        ([allow("a", 100, "*", "80", access="Maybe")], "SecurityRuleInvalidAccess"),
        ([allow("a", 100, "GatewayManager", "80")], "NotModelled"),
        ([allow("a", 100, "*", "80", sourceApplicationSecurityGroups=[{}])], "NotModelled"),
    ],
)
def test_rules_that_azure_or_the_lab_refuses(rules: list[dict[str, object]], code: str) -> None:
    with pytest.raises(AzureError) as refusal:
        security_group("core", {"securityRules": rules})

    assert refusal.value.code == code


def test_the_same_priority_is_accepted_in_the_other_direction() -> None:
    both = [allow("a", 100, "*", "80"), allow("b", 100, "*", "80", direction="Outbound")]

    assert len(security_group("core", {"securityRules": both}).towards("Outbound")) == 4
