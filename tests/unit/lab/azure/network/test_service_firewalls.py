"""Firewalls of accounts and vaults: which rules are accepted, and which callers they admit."""

from typing import Any

import pytest

from lab.azure.arm.errors import AzureError
from lab.azure.network.service_firewalls import Sender, Service, check, of_account, of_vault
from tests.unit.lab.azure.stored_resources import SUBNET, StoredResources

DEVELOPER = Sender(address="127.0.0.1")
VM = Sender(address="10.31.0.4", subnet=SUBNET)


def storage(*addresses: str, **inputs: Any) -> dict[str, Any]:
    rules = [{"iPAddressOrRange": each} for each in addresses]
    return {"networkRuleSet": {"defaultAction": "Deny", "ipRules": rules}, **inputs}


def test_without_rules_every_caller_is_admitted(stored: StoredResources) -> None:
    assert of_account({}).admit(DEVELOPER, stored.store)
    assert of_vault({}).admit(VM, stored.store)


def test_deny_by_default_also_refuses_the_deployer(stored: StoredResources) -> None:
    assert not of_account(storage()).admit(DEVELOPER, stored.store)


@pytest.mark.parametrize("rule", ["127.0.0.1", "127.0.0.0/8"])
def test_an_address_rule_lets_the_developer_in(stored: StoredResources, rule: str) -> None:
    assert of_account(storage(rule)).admit(DEVELOPER, stored.store)


def test_address_rules_say_nothing_about_vms(stored: StoredResources) -> None:
    """Traffic through a service endpoint keeps its private address, which no rule can name."""
    assert not of_account(storage("0.0.0.0/0")).admit(VM, stored.store)


def test_a_subnet_rule_counts_only_with_the_service_endpoint(stored: StoredResources) -> None:
    rules = of_vault(
        {"networkAcls": {"defaultAction": "Deny", "virtualNetworkRules": [{"id": SUBNET.upper()}]}}
    )

    stored.subnet("Microsoft.Storage")
    without = rules.admit(VM, stored.store)
    stored.subnet("Microsoft.Storage", "Microsoft.KeyVault")

    assert not without
    assert rules.admit(VM, stored.store)


def test_without_public_access_every_client_is_refused(stored: StoredResources) -> None:
    closed = of_account(storage("127.0.0.1", publicNetworkAccess="Disabled"))

    assert not closed.admit(DEVELOPER, stored.store)


@pytest.mark.parametrize(
    ("service", "field", "rule"),
    [
        ("storage", "iPAddressOrRange", "203.0.113.7/32"),
        ("storage", "iPAddressOrRange", "203.0.113.6/31"),
        ("storage", "iPAddressOrRange", "10.0.0.0/8"),
        ("vault", "value", "192.168.1.1"),
        ("vault", "value", "everywhere"),
    ],
)
def test_address_rules_that_azure_refuses(
    stored: StoredResources, service: Service, field: str, rule: str
) -> None:
    with pytest.raises(AzureError) as refusal:
        check(stored.store, {"ipRules": [{field: rule}]}, service)

    assert refusal.value.code == "InvalidValuesForRequestParameters"


@pytest.mark.parametrize(
    ("service", "field", "rule"),
    [
        ("storage", "iPAddressOrRange", "203.0.113.7"),
        ("storage", "iPAddressOrRange", "203.0.113.0/30"),
        ("vault", "value", "203.0.113.7/32"),
    ],
)
def test_address_rules_that_azure_accepts(
    stored: StoredResources, service: Service, field: str, rule: str
) -> None:
    check(stored.store, {"ipRules": [{field: rule}]}, service)


def test_a_subnet_without_the_service_endpoint_is_refused(stored: StoredResources) -> None:
    stored.subnet("Microsoft.KeyVault")
    rules = {"virtualNetworkRules": [{"virtualNetworkResourceId": SUBNET}]}

    with pytest.raises(AzureError) as refusal:
        check(stored.store, rules, "storage")

    assert refusal.value.code == "SubnetsHaveNoServiceEndpointsConfigured"
