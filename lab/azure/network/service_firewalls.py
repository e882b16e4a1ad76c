"""The firewalls of storage accounts and vaults: which callers may reach the service.

`check` refuses rules as the resource manager does. `NetworkRules.admit` decides on each request,
before roles. A rule for a subnet needs the service endpoint on that subnet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

from lab.azure.arm.errors import AzureError
from lab.azure.arm.store import Store
from lab.azure.network.security_rules import PRIVATE

Service = Literal["storage", "vault"]

_ENDPOINTS: Mapping[Service, str] = {
    "storage": "Microsoft.Storage",
    "vault": "Microsoft.KeyVault",
}
_ADDRESS: Mapping[Service, str] = {"storage": "iPAddressOrRange", "vault": "value"}
_SUBNET: Mapping[Service, str] = {"storage": "virtualNetworkResourceId", "vault": "id"}


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Where a request comes from. ``subnet`` is the VM's; None for the developer."""

    address: str
    subnet: str | None = None


DEVELOPER = Sender(address="127.0.0.1")
"""Every caller that is not a VM: the developer's computer, on the Internet's side."""


@dataclass(frozen=True, kw_only=True)
class NetworkRules:
    default_allow: bool
    addresses: tuple[str, ...]
    subnets: tuple[str, ...]
    endpoint: str
    """The service endpoint that a subnet needs for its rule: ``Microsoft.Storage``."""

    def admit(self, sender: Sender, store: Store) -> bool:
        if self.default_allow:
            return True
        if sender.subnet is None:
            return any(
                IPv4Address(sender.address) in IPv4Network(rule, strict=False)
                for rule in self.addresses
            )
        allowed = (subnet.lower() for subnet in self.subnets)
        return sender.subnet.lower() in allowed and _has_endpoint(
            store, sender.subnet, self.endpoint
        )


def of_account(inputs: Mapping[str, Any]) -> NetworkRules:
    """Reads a StorageAccount's ``networkRuleSet`` and ``publicNetworkAccess``."""
    return _read("storage", inputs, inputs.get("networkRuleSet") or {})


def of_vault(properties: Mapping[str, Any]) -> NetworkRules:
    """Reads a Vault's ``networkAcls`` and ``publicNetworkAccess``."""
    return _read("vault", properties, properties.get("networkAcls") or {})


def check(store: Store, rules: Mapping[str, Any], service: Service) -> None:
    """Raises AzureError for rules that Azure would refuse.

    Storage takes single addresses without ``/32`` and no ``/31`` (azure-cli#18479); a vault takes
    both. Neither takes private ranges, nor a subnet without the service endpoint.
    """
    for rule in rules.get("ipRules") or ():
        _check_address(rule[_ADDRESS[service]], service)
    for rule in rules.get("virtualNetworkRules") or ():
        subnet = rule[_SUBNET[service]]
        if store.get(subnet) is None:
            raise AzureError("NetworkAclsValidationFailure", f"Subnet {subnet} was not found.")
        if not _has_endpoint(store, subnet, _ENDPOINTS[service]):
            raise AzureError(
                "SubnetsHaveNoServiceEndpointsConfigured",
                f"Subnet {subnet} does not have the service endpoint {_ENDPOINTS[service]}. "
                "Add it to the subnet's serviceEndpoints before naming the subnet in a rule.",
            )


def _check_address(text: str, service: Service) -> None:
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise AzureError(
            "InvalidValuesForRequestParameters", f"{text!r} is not an IPv4 address or range."
        ) from error
    if service == "storage" and "/" in text and network.prefixlen >= 31:
        raise AzureError(
            "InvalidValuesForRequestParameters",
            f"The range {text!r} in ipRules is too small: write single addresses without a prefix "
            "length.",
        )
    if any(network.subnet_of(private) for private in PRIVATE):
        raise AzureError(
            "InvalidValuesForRequestParameters",
            f"{text!r} in ipRules is private; only public addresses can be allowed.",
        )


def _read(service: Service, inputs: Mapping[str, Any], rules: Mapping[str, Any]) -> NetworkRules:
    is_public = str(inputs.get("publicNetworkAccess", "Enabled")).lower() == "enabled"
    addresses = (rule[_ADDRESS[service]] for rule in rules.get("ipRules") or ())
    subnets = (rule[_SUBNET[service]] for rule in rules.get("virtualNetworkRules") or ())
    return NetworkRules(
        default_allow=is_public and rules.get("defaultAction", "Allow") == "Allow",
        # Without public access only private endpoints remain, which the lab does not model.
        addresses=tuple(addresses) if is_public else (),
        subnets=tuple(subnets) if is_public else (),
        endpoint=_ENDPOINTS[service],
    )


def _has_endpoint(store: Store, subnet_id: str, service: str) -> bool:
    subnet = store.get(subnet_id)
    endpoints = subnet.inputs.get("serviceEndpoints") or [] if subnet else []
    # Microsoft.Storage.Global covers the service in all regions.
    return any(endpoint["service"] in (service, f"{service}.Global") for endpoint in endpoints)
