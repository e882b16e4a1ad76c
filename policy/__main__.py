"""The policy pack refuses resources that must never be deployed.

    pulumi preview --policy-pack policy

It checks resources in the form that is sent to Azure, and does not use the program's code.
"""

import base64
import io
import ipaddress
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

Props = Mapping[str, Any]


class Rule(Protocol):
    """Checks a resource (type without package, name, inputs) and yields its violations."""

    __name__: str

    def __call__(self, type_: str, name: str, props: Props, /) -> Iterator[str]: ...


ARTEFACTS_ACCOUNT = "fleetartefact"
"""The only account with keys: azure-native uploads blobs with them. It holds nothing secret."""
REQUIRED_TAGS = frozenset({"project", "stack", "owner"})
EVERYBODY = frozenset({"*", "any", "internet"})
WIDEST = {4: 8, 6: 16}
"""A range with a shorter prefix counts as the whole Internet."""
SSH = 22
PLATFORM_PORTS = (2379, 2380, 5000, 5001, 8089)
"""Ports of etcd, the registry and the routers' health. Write access to etcd can start units."""
PRIVATE_KEY = "PRIVATE KEY-----"
# Child resources and data have no tags on Azure.
TAGGED = (
    "compute:VirtualMachineScaleSet",
    "keyvault:Vault",
    "managedidentity:UserAssignedIdentity",
    "network:LoadBalancer",
    "network:NatGateway",
    "network:NetworkSecurityGroup",
    "network:PublicIPAddress",
    "network:VirtualNetwork",
    "resources:ResourceGroup",
    "storage:StorageAccount",
)


def no_public_blobs(type_: str, _name: str, props: Props) -> Iterator[str]:
    """Blobs are read with an identity, never anonymously."""
    if type_ == "storage:StorageAccount" and props.get("allowBlobPublicAccess") is not False:
        yield "allowBlobPublicAccess must be false"
    if type_ == "storage:BlobContainer" and props.get("publicAccess", "None") != "None":
        yield "publicAccess must be None"


def no_account_keys(type_: str, name: str, props: Props) -> Iterator[str]:
    """An account's key permits everything and does not say who uses it."""
    if (
        type_ == "storage:StorageAccount"
        and name != ARTEFACTS_ACCOUNT
        and props.get("allowSharedKeyAccess") is not False
    ):
        yield f"allowSharedKeyAccess must be false; only {ARTEFACTS_ACCOUNT} needs keys"


def encrypted_storage_traffic(type_: str, _name: str, props: Props) -> Iterator[str]:
    """No traffic is unencrypted or uses an old TLS version."""
    if type_ == "storage:StorageAccount":
        if props.get("enableHttpsTrafficOnly") is not True:
            yield "enableHttpsTrafficOnly must be true"
        if props.get("minimumTlsVersion") not in ("TLS1_2", "TLS1_3"):
            yield "minimumTlsVersion must be TLS1_2 or TLS1_3"


def no_open_ssh(type_: str, _name: str, props: Props) -> Iterator[str]:
    """SSH gives root on every node, so only named networks may reach it."""
    for rule in _open_to_everybody(type_, props):
        if _has_port(rule, SSH):
            yield f"the rule {rule.get('name')} opens SSH to the whole Internet"


def no_open_platform(type_: str, _name: str, props: Props) -> Iterator[str]:
    """Ports for traffic between nodes are not reachable from outside."""
    for rule in _open_to_everybody(type_, props):
        if ports := [str(port) for port in PLATFORM_PORTS if _has_port(rule, port)]:
            yield f"the rule {rule.get('name')} opens {', '.join(ports)} to the whole Internet"


def balanced_with_care(type_: str, _name: str, props: Props) -> Iterator[str]:
    """Only healthy nodes get traffic, and a client's TCP and UDP reach the same node."""
    if type_ != "network:LoadBalancer":
        return
    rules = props.get("loadBalancingRules") or ()
    protocols = defaultdict(set)
    for rule in rules:
        protocols[rule.get("frontendPort")].add(rule.get("protocol"))
    for rule in rules:
        if not rule.get("probe"):
            yield f"the rule {rule.get('name')} has no probe"
        both = len(protocols[rule.get("frontendPort")]) > 1
        if both and rule.get("loadDistribution") != "SourceIP":
            yield f"the rule {rule.get('name')} must have loadDistribution SourceIP"


def closed_vaults(type_: str, _name: str, props: Props) -> Iterator[str]:
    """Secrets can be read only with a role and from known networks, and deletions can be undone."""
    if type_ == "keyvault:Vault":
        settings = props.get("properties") or {}
        if settings.get("enableRbacAuthorization") is not True:
            yield "enableRbacAuthorization must be true"
        if settings.get("enableSoftDelete") is False:
            yield "enableSoftDelete must not be false"
        if (settings.get("networkAcls") or {}).get("defaultAction") != "Deny":
            yield "networkAcls.defaultAction must be Deny"


def no_keys_in_plain_sight(type_: str, _name: str, props: Props) -> Iterator[str]:
    """Many users can read custom data and commands, so keys belong in the vault."""
    if type_ == "remote:Command":
        for name in ("create", "update", "delete", "stdin", "environment"):
            if PRIVATE_KEY in str(props.get(name)):
                yield f"{name} must not contain a private key"
    if type_ == "compute:VirtualMachineScaleSet":
        profile = (props.get("virtualMachineProfile") or {}).get("osProfile") or {}
        if PRIVATE_KEY.encode() in base64.b64decode(profile.get("customData") or ""):
            yield "customData must not contain a private key"


def tags(type_: str, _name: str, props: Props) -> Iterator[str]:
    """Every resource has tags that name its owner."""
    if type_ in TAGGED:
        missing = sorted(REQUIRED_TAGS - set(props.get("tags") or {}))
        if missing:
            yield f"the tags {', '.join(missing)} are missing"


def closed_subnets(type_: str, _name: str, props: Props) -> Iterator[str]:
    """Every subnet has a security group and an explicit way to the Internet."""
    subnets = [props] if type_ == "network:Subnet" else []
    if type_ == "network:VirtualNetwork":
        subnets = props.get("subnets") or []
    for subnet in subnets:
        if not subnet.get("networkSecurityGroup"):
            yield "networkSecurityGroup is missing"
        if not subnet.get("natGateway"):
            yield "natGateway is missing"
        if subnet.get("defaultOutboundAccess") is not False:
            yield "defaultOutboundAccess must be false"


def no_passwords(type_: str, _name: str, props: Props) -> Iterator[str]:
    """Passwords can be guessed; keys can't."""
    if type_ in ("compute:VirtualMachine", "compute:VirtualMachineScaleSet"):
        profile = (props.get("virtualMachineProfile") or props).get("osProfile") or {}
        linux = profile.get("linuxConfiguration") or {}
        if linux.get("disablePasswordAuthentication") is not True:
            yield "disablePasswordAuthentication must be true"
        if profile.get("adminPassword"):
            yield "adminPassword must not be set"


RULES: tuple[Rule, ...] = (
    no_public_blobs,
    no_account_keys,
    encrypted_storage_traffic,
    no_open_ssh,
    no_open_platform,
    balanced_with_care,
    closed_vaults,
    no_keys_in_plain_sight,
    tags,
    closed_subnets,
    no_passwords,
)


def _open_to_everybody(type_: str, props: Props) -> Iterator[Props]:
    """The security rules that admit the whole Internet by TCP. Azure ignores case."""
    rules = [props] if type_ == "network:SecurityRule" else []
    if type_ == "network:NetworkSecurityGroup":
        rules = props.get("securityRules") or []
    for rule in rules:
        words = [str(rule.get(key)).lower() for key in ("direction", "access", "protocol")]
        if words in (["inbound", "allow", "tcp"], ["inbound", "allow", "*"]):
            sources = [rule.get("sourceAddressPrefix"), *(rule.get("sourceAddressPrefixes") or ())]
            if any(_is_everybody(str(source)) for source in sources if source):
                yield rule


def _is_everybody(source: str) -> bool:
    if source.lower() in EVERYBODY:
        return True
    try:
        network = ipaddress.ip_network(source, strict=False)
    except ValueError:
        return False  # a service tag
    return network.prefixlen < WIDEST[network.version]


def _has_port(rule: Props, port: int) -> bool:
    ranges = [rule.get("destinationPortRange"), *(rule.get("destinationPortRanges") or ())]
    return any(_contains(str(one), port) for one in ranges if one is not None)


def _contains(ports: str, port: int) -> bool:
    """Whether `*`, `22` or `20-30` contains a port."""
    if ports == "*":
        return True
    first, _, last = ports.partition("-")
    return int(first) <= port <= int(last or first)


def violations(rule: Rule, token: str, name: str, props: Props) -> Iterator[str]:
    """A resource's violations of one rule."""
    package, _, type_ = token.partition(":")
    if package in ("azure-native", "command"):
        yield from rule(type_, name, props)


def _policy(rule: Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for message in violations(rule, args.resource_type, args.name, args.props):
            report(message, args.urn)

    return ResourceValidationPolicy(
        name=rule.__name__.replace("_", "-"),
        description=rule.__doc__ or rule.__name__,
        validate=validate,
    )


def pack() -> PolicyPack:
    """Starts the pack, which serves the engine until the update ends."""
    # The engine waits for the port number, which the SDK writes into a buffer and never flushes.
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
    return PolicyPack(
        name="fleet-azure",
        enforcement_level=EnforcementLevel.MANDATORY,
        policies=[_policy(rule) for rule in RULES],
    )


if __name__ == "__main__":
    pack()
