"""Microsoft.Network: network security groups, and their inputs read as rules.

A tag or field that the lab does not model is refused here, so that `security_rules` never evaluates
a rule as something else than it says.
"""

import itertools
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from typing import Any

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.references import names, users
from lab.azure.arm.store import Resource
from lab.azure.network.resource_types import SECURITY_GROUP
from lab.azure.network.security_rules import (
    ALL_PORTS,
    ANY,
    DEFAULT_RULES,
    PROTOCOLS,
    TAGS,
    Direction,
    Ports,
    Rule,
    SecurityGroup,
    base_tag,
    network,
)

_RULE = (
    "name description priority direction access protocol "
    "sourceAddressPrefix sourceAddressPrefixes sourcePortRange sourcePortRanges "
    "destinationAddressPrefix destinationAddressPrefixes destinationPortRange "
    "destinationPortRanges"
)


class SecurityGroupKind(Kind):
    token = SECURITY_GROUP
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "networkSecurityGroupName",
                "location",
                "tags.*",
                *(f"securityRules.{name}" for name in _RULE.split()),
            }
        )
    )

    def check(self, request: Request) -> None:
        naming.NETWORK_RESOURCE.check(request.name)
        rules = names(request.inputs, "securityRules")
        for name in rules:
            naming.NETWORK_RESOURCE.check(name)
            if rules.count(name) > 1:
                message = f"Two security rules of '{request.name}' are named '{name}'."
                raise AzureError("InvalidRequestFormat", message)
        security_group(request.name, request.inputs)

    async def write(self, request: Request) -> Answer:
        rules = [
            {
                **rule,
                "id": request.child("securityRules", rule["name"]),
                "provisioningState": "Succeeded",
            }
            for rule in request.inputs.get("securityRules") or []
        ]
        return Answer(outputs={"securityRules": rules, "defaultSecurityRules": []})

    def check_delete(self, resource: Resource) -> None:
        if used := users(self.store, resource.id):
            message = f"Network security group {resource.name} cannot be deleted because it is "
            message += f"in use by {used[0].id}."
            raise AzureError("InUseNetworkSecurityGroupCannotBeDeleted", message)


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
        if network(one).overlaps(network(other)):
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
