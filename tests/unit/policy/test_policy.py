"""The policy pack: what it refuses, and that the program itself is beyond reproach."""

import base64
import copy
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from components.credentials import new_certificate
from policy.__main__ import RULES, TAGGED, violations
from tests.program.recorded_stack import Recorded

Change = Callable[[dict[str, Any]], object]
KEY = new_certificate(["a.example"], [], datetime.datetime.now(datetime.UTC))[0]

TAGS = {"project": "fleet", "stack": "dev", "owner": "team"}
SUBNET = {
    "networkSecurityGroup": {"id": "x"},
    "natGateway": {"id": "y"},
    "defaultOutboundAccess": False,
}
SSH_RULE = {
    "name": "ssh",
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "sourceAddressPrefix": "203.0.113.7/32",
    "destinationPortRange": "22",
}
GOOD: dict[str, dict[str, Any]] = {
    "storage:StorageAccount": {
        "allowBlobPublicAccess": False,
        "allowSharedKeyAccess": False,
        "enableHttpsTrafficOnly": True,
        "minimumTlsVersion": "TLS1_2",
        "tags": TAGS,
    },
    "storage:BlobContainer": {"publicAccess": "None"},
    "network:Subnet": SUBNET,
    "network:VirtualNetwork": {"tags": TAGS, "subnets": [SUBNET]},
    "network:NetworkSecurityGroup": {"tags": TAGS, "securityRules": [SSH_RULE]},
    "network:SecurityRule": SSH_RULE,
    "network:LoadBalancer": {
        "tags": TAGS,
        "loadBalancingRules": [
            {
                "name": protocol,
                "protocol": protocol,
                "frontendPort": 7000,
                "probe": {"id": "x"},
                "loadDistribution": "SourceIP",
            }
            for protocol in ("Tcp", "Udp")
        ],
    },
    "keyvault:Vault": {
        "tags": TAGS,
        "properties": {
            "enableRbacAuthorization": True,
            "networkAcls": {"defaultAction": "Deny"},
        },
    },
    "compute:VirtualMachine": {
        "osProfile": {"linuxConfiguration": {"disablePasswordAuthentication": True}}
    },
    "compute:VirtualMachineScaleSet": {
        "tags": TAGS,
        "virtualMachineProfile": {
            "osProfile": {"linuxConfiguration": {"disablePasswordAuthentication": True}}
        },
    },
}


def broken(type_: str, props: dict[str, Any], name: str = "x") -> list[tuple[str, str]]:
    return [
        (rule.__name__, message)
        for rule in RULES
        for message in violations(rule, f"azure-native:{type_}", name, props)
    ]


def rule_of(**changes: object) -> Change:
    """Changes the only rule of the security group."""
    return lambda props: props["securityRules"][0].update(changes)


def balancing_rule(**changes: object) -> Change:
    """Changes the rule for UDP."""
    return lambda props: props["loadBalancingRules"][1].update(changes)


def os_profile(props: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = props["virtualMachineProfile"]["osProfile"]
    return found


@pytest.mark.parametrize("type_", sorted(GOOD))
def test_correct_resources_pass(type_: str) -> None:
    assert broken(type_, GOOD[type_]) == []


@pytest.mark.parametrize(
    ("type_", "change", "rule"),
    [
        ("storage:StorageAccount", lambda p: p.pop("allowBlobPublicAccess"), "no_public_blobs"),
        ("storage:StorageAccount", lambda p: p.pop("allowSharedKeyAccess"), "no_account_keys"),
        (
            "storage:StorageAccount",
            lambda p: p.update(minimumTlsVersion="TLS1_0"),
            "encrypted_storage_traffic",
        ),
        (
            "storage:StorageAccount",
            lambda p: p.update(enableHttpsTrafficOnly=False),
            "encrypted_storage_traffic",
        ),
        ("storage:StorageAccount", lambda p: p["tags"].pop("owner"), "tags"),
        ("storage:StorageAccount", lambda p: p.pop("tags"), "tags"),
        ("storage:BlobContainer", lambda p: p.update(publicAccess="Blob"), "no_public_blobs"),
        ("network:Subnet", lambda p: p.pop("networkSecurityGroup"), "closed_subnets"),
        ("network:Subnet", lambda p: p.pop("natGateway"), "closed_subnets"),
        ("network:Subnet", lambda p: p.pop("defaultOutboundAccess"), "closed_subnets"),
        ("network:NetworkSecurityGroup", rule_of(sourceAddressPrefix="*"), "no_open_ssh"),
        ("network:NetworkSecurityGroup", rule_of(sourceAddressPrefix="Internet"), "no_open_ssh"),
        ("network:NetworkSecurityGroup", rule_of(sourceAddressPrefix="internet"), "no_open_ssh"),
        ("network:NetworkSecurityGroup", rule_of(sourceAddressPrefix="128.0.0.0/1"), "no_open_ssh"),
        ("network:NetworkSecurityGroup", rule_of(sourceAddressPrefix="::/0"), "no_open_ssh"),
        (
            "network:NetworkSecurityGroup",
            rule_of(sourceAddressPrefix="*", protocol="tcp", access="allow", direction="inbound"),
            "no_open_ssh",
        ),
        ("network:SecurityRule", lambda p: p.update(sourceAddressPrefix="*"), "no_open_ssh"),
        ("network:VirtualNetwork", lambda p: p["subnets"][0].pop("natGateway"), "closed_subnets"),
        (
            "compute:VirtualMachine",
            lambda p: p["osProfile"].update(adminPassword="secret"),
            "no_passwords",
        ),
        (
            "network:NetworkSecurityGroup",
            rule_of(sourceAddressPrefix=None, sourceAddressPrefixes=["1.2.3.4", "0.0.0.0/0"]),
            "no_open_ssh",
        ),
        (
            "network:NetworkSecurityGroup",
            rule_of(sourceAddressPrefix="*", destinationPortRange="20-30", protocol="*"),
            "no_open_ssh",
        ),
        (
            "network:NetworkSecurityGroup",
            rule_of(
                sourceAddressPrefix="*",
                destinationPortRange=None,
                destinationPortRanges=["80", "1-100"],
            ),
            "no_open_ssh",
        ),
        (
            "network:NetworkSecurityGroup",
            rule_of(sourceAddressPrefix="*", destinationPortRange="2000-6000"),
            "no_open_platform",
        ),
        (
            "network:NetworkSecurityGroup",
            rule_of(sourceAddressPrefix="Internet", destinationPortRange="8089"),
            "no_open_platform",
        ),
        ("network:LoadBalancer", balancing_rule(probe=None), "balanced_with_care"),
        ("network:LoadBalancer", balancing_rule(loadDistribution=None), "balanced_with_care"),
        (
            "keyvault:Vault",
            lambda p: p["properties"].update(enableRbacAuthorization=None),
            "closed_vaults",
        ),
        (
            "keyvault:Vault",
            lambda p: p["properties"].update(enableSoftDelete=False),
            "closed_vaults",
        ),
        (
            "keyvault:Vault",
            lambda p: p["properties"]["networkAcls"].update(defaultAction="Allow"),
            "closed_vaults",
        ),
        (
            "compute:VirtualMachineScaleSet",
            lambda p: os_profile(p).update(customData=base64.b64encode(KEY.encode()).decode()),
            "no_keys_in_plain_sight",
        ),
        (
            "compute:VirtualMachineScaleSet",
            lambda p: os_profile(p)["linuxConfiguration"].clear(),
            "no_passwords",
        ),
        (
            "compute:VirtualMachineScaleSet",
            lambda p: os_profile(p).update(adminPassword="secret"),
            "no_passwords",
        ),
    ],
)
def test_violations_are_refused(type_: str, change: Change, rule: str) -> None:
    props = copy.deepcopy(GOOD[type_])

    change(props)

    assert [name for name, _ in broken(type_, props)] == [rule]


@pytest.mark.parametrize(
    "change",
    [
        rule_of(sourceAddressPrefix="*", destinationPortRange="443"),
        rule_of(sourceAddressPrefix="*", destinationPortRange="1000-2000"),
        rule_of(sourceAddressPrefix="*", access="Deny"),
        rule_of(sourceAddressPrefix="*", direction="Outbound"),
        rule_of(sourceAddressPrefix="*", protocol="Udp"),
        rule_of(sourceAddressPrefix="10.20.0.0/24", destinationPortRange="2379-2380"),
    ],
)
def test_other_open_ports_are_accepted(change: Change) -> None:
    props = copy.deepcopy(GOOD["network:NetworkSecurityGroup"])

    change(props)

    assert broken("network:NetworkSecurityGroup", props) == []


def test_a_rule_for_all_ports_violates_every_port_rule() -> None:
    props = copy.deepcopy(GOOD["network:NetworkSecurityGroup"])

    rule_of(sourceAddressPrefix="*", destinationPortRange="*")(props)

    broken_rules = [name for name, _ in broken("network:NetworkSecurityGroup", props)]
    assert broken_rules == ["no_open_ssh", "no_open_platform"]


def test_a_port_of_one_protocol_may_be_balanced_in_any_way() -> None:
    props = copy.deepcopy(GOOD["network:LoadBalancer"])

    balancing_rule(frontendPort=7001, loadDistribution=None)(props)

    assert broken("network:LoadBalancer", props) == []


@pytest.mark.parametrize("name", ["create", "delete", "stdin"])
def test_a_command_holds_no_key(name: str) -> None:
    for text, expected in ((KEY, [f"{name} must not contain a private key"]), ("echo", [])):
        found = [
            message
            for rule in RULES
            for message in violations(rule, "command:remote:Command", "x", {name: text})
        ]

        assert found == expected


def test_only_the_artefacts_account_may_have_keys() -> None:
    props = {**GOOD["storage:StorageAccount"], "allowSharedKeyAccess": True}

    assert broken("storage:StorageAccount", props, "fleetartefact") == []
    assert broken("storage:StorageAccount", props, "fleetdata") != []


def test_the_program_breaks_no_rule(stack: Recorded) -> None:
    for one in stack.resources:
        for rule in RULES:
            assert not list(violations(rule, one.type, one.name, one.inputs)), one.urn


def test_every_type_that_can_have_tags_is_looked_at(stack: Recorded) -> None:
    tagged = {
        one.type.removeprefix("azure-native:") for one in stack.resources if "tags" in one.inputs
    }

    # secrets go with their vault
    assert tagged - {"keyvault:Secret"} == set(TAGGED)
