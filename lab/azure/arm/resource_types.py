"""The Azure resource types that the lab knows: ids, names, and what Azure will not change in place.

The provider plugin and the simulated cloud both read this table, so that they cannot disagree. It
describes shapes only; the behaviour of a service lives in `lab.azure`. A type that is missing here
is refused by name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

PACKAGE_VERSION = "3.29.0"  # of pulumi-azure-native, whose types the plugin checks against

# The lab's one tenant, its one subscription, and who runs `pulumi up`: a pipeline's service
# principal, so that a program which takes everybody for a person is refused.
TENANT_ID = "7e4a0000-1ab0-4000-8000-000000000001"
SUBSCRIPTION_ID = "5ab50000-1ab0-4000-8000-000000000002"
DEPLOYER_OBJECT_ID = "de910000-1ab0-4000-8000-000000000003"
DEPLOYER_CLIENT_ID = "c11e0000-1ab0-4000-8000-000000000004"

_SUBSCRIPTION = "/subscriptions/{subscriptionId}"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/{{resourceGroupName}}"
_ACCOUNT = f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/{{accountName}}"
_CONTAINER = f"{_ACCOUNT}/blobServices/default/containers/{{containerName}}"

# These may hold slashes: a scope is itself an id, a blob's name may look like a path.
_GREEDY = frozenset({"scope", "blobName"})


class AutoName(Enum):
    """How azure-native names a resource whose name the program leaves out."""

    HEX = "the resource's name and eight hex digits"
    UUID = "a random UUID"
    COPY = "the resource's name as it is (children of another resource)"
    NONE = "the name must be given"


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One row of the table. Property paths are dotted, in wire names, without list indices."""

    token: str
    arm_type: str
    id_template: str
    name_property: str
    autoname: AutoName
    api_version: str  # empty for the data plane's Blob
    replace_on: frozenset[str]
    """A change at or below one of these paths replaces the resource."""
    write_only: frozenset[str] = frozenset()
    """Inputs that Azure never returns; a refresh keeps what the state has."""
    secret_outputs: frozenset[str] = frozenset()
    """Values that are secret in inputs and outputs, whether or not the program says so."""
    standalone_lists: frozenset[str] = frozenset()
    """Lists that resources of their own may fill: absent from the inputs, they are left alone."""
    located: bool = True
    """Takes a location, by default the provider's or the resource group's."""

    @functools.cached_property
    def id_names(self) -> tuple[str, ...]:
        """The placeholders of `id_template`, without the subscription."""
        names = re.findall(r"{(\w+)}", self.id_template)
        return tuple(name for name in names if name != "subscriptionId")

    def resource_id(self, inputs: Mapping[str, object]) -> str:
        """The ARM id for these inputs. KeyError names an input that is missing."""
        values = {name: str(inputs[name]) for name in self.id_names}
        return self.id_template.format(subscriptionId=SUBSCRIPTION_ID, **values)

    def parse_id(self, resource_id: str) -> dict[str, str] | None:
        """The names inside an id of this type, None when it is of another type.

        ARM ids are case-insensitive; the names come back as they were written.
        """
        match = self._id_pattern.fullmatch(resource_id)
        return match.groupdict() if match else None

    @functools.cached_property
    def _id_pattern(self) -> re.Pattern[str]:
        def part(text: str) -> str:
            if not text.startswith("{"):
                return re.escape(text)
            name = text[1:-1]
            return f"(?P<{name}>.+)" if name in _GREEDY else f"(?P<{name}>[^/]+)"

        pieces = re.split(r"({\w+})", self.id_template)
        return re.compile("".join(map(part, pieces)), re.IGNORECASE)


def _type(
    token: str,
    arm_type: str,
    id_template: str,
    api_version: str,
    *,
    autoname: AutoName = AutoName.HEX,
    replace_on: tuple[str, ...] = (),
    write_only: tuple[str, ...] = (),
    secret: tuple[str, ...] = (),
    standalone_lists: tuple[str, ...] = (),
    located: bool = True,
) -> ResourceType:
    """A row. Everything in the id replaces, and so does the location of what has one."""
    names = re.findall(r"{(\w+)}", id_template)
    return ResourceType(
        token=f"azure-native:{token}",
        arm_type=arm_type,
        id_template=id_template,
        name_property=names[-1],
        autoname=autoname,
        api_version=api_version,
        replace_on=frozenset(
            {*names, *replace_on, *(["location"] if located else [])} - {"subscriptionId"}
        ),
        write_only=frozenset(write_only),
        secret_outputs=frozenset(secret),
        standalone_lists=frozenset(standalone_lists),
        located=located,
    )


def _network(
    resource: str,
    arm_name: str,
    name: str,
    *,
    replace_on: tuple[str, ...] = (),
    standalone_lists: tuple[str, ...] = (),
) -> ResourceType:
    """A top-level resource of Microsoft.Network."""
    arm_type = f"Microsoft.Network/{arm_name}"
    return _type(
        f"network:{resource}",
        arm_type,
        f"{_GROUP}/providers/{arm_type}/{{{name}}}",
        "2024-05-01",
        replace_on=replace_on,
        standalone_lists=standalone_lists,
    )


# What replaces beyond ids and location: `forceNewMap` of azure-native's generator and the
# x-ms-mutability marks of Azure's specifications. What Azure merely refuses to change (a scale
# set's orchestration mode, say) is an update here as it is there, and the cloud refuses it.
_TYPES = (
    _type(
        "resources:ResourceGroup",
        "Microsoft.Resources/resourceGroups",
        _GROUP,
        "2024-03-01",
    ),
    _network(
        "VirtualNetwork",
        "virtualNetworks",
        "virtualNetworkName",
        standalone_lists=("subnets", "virtualNetworkPeerings"),
    ),
    _type(
        "network:Subnet",
        "Microsoft.Network/virtualNetworks/subnets",
        f"{_GROUP}/providers/Microsoft.Network/virtualNetworks/{{virtualNetworkName}}"
        "/subnets/{subnetName}",
        "2024-05-01",
        autoname=AutoName.COPY,
        located=False,
    ),
    _network(
        "NetworkSecurityGroup",
        "networkSecurityGroups",
        "networkSecurityGroupName",
        standalone_lists=("securityRules",),
    ),
    _network(
        "PublicIPAddress",
        "publicIPAddresses",
        "publicIpAddressName",
        replace_on=("publicIPAddressVersion", "publicIPPrefix", "sku"),
    ),
    _network("NatGateway", "natGateways", "natGatewayName"),
    _network(
        "LoadBalancer",
        "loadBalancers",
        "loadBalancerName",
        standalone_lists=("backendAddressPools", "inboundNatRules"),
    ),
    _type(
        "storage:StorageAccount",
        "Microsoft.Storage/storageAccounts",
        _ACCOUNT,
        "2024-01-01",
        replace_on=("isHnsEnabled", "immutableStorageWithVersioning"),
    ),
    _type(
        "storage:BlobContainer",
        "Microsoft.Storage/storageAccounts/blobServices/containers",
        _CONTAINER,
        "2024-01-01",
        autoname=AutoName.COPY,
        located=False,
    ),
    _type(
        "storage:BlobServiceProperties",
        "Microsoft.Storage/storageAccounts/blobServices",
        f"{_ACCOUNT}/blobServices/{{blobServicesName}}",
        "2024-01-01",
        autoname=AutoName.COPY,
        located=False,
    ),
    _type(
        "storage:ManagementPolicy",
        "Microsoft.Storage/storageAccounts/managementPolicies",
        f"{_ACCOUNT}/managementPolicies/{{managementPolicyName}}",
        "2024-01-01",
        autoname=AutoName.COPY,
        located=False,
    ),
    _type(
        "storage:Blob",
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs",
        f"{_CONTAINER}/blobs/{{blobName}}",
        "",
        autoname=AutoName.COPY,
        replace_on=("source", "contentMd5", "type"),
        write_only=("source",),
        located=False,
    ),
    _type(
        "keyvault:Vault",
        "Microsoft.KeyVault/vaults",
        f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}",
        "2024-11-01",
        standalone_lists=("properties.accessPolicies",),
    ),
    _type(
        "keyvault:Secret",
        "Microsoft.KeyVault/vaults/secrets",
        f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}/secrets/{{secretName}}",
        "2024-11-01",
        autoname=AutoName.COPY,
        write_only=("properties.value",),
        secret=("properties.value",),
        located=False,
    ),
    _type(
        "managedidentity:UserAssignedIdentity",
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        f"{_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{{resourceName}}",
        "2023-01-31",
    ),
    _type(
        "authorization:RoleAssignment",
        "Microsoft.Authorization/roleAssignments",
        "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        "2022-04-01",
        autoname=AutoName.UUID,
        replace_on=(
            *("principalId", "principalType", "roleDefinitionId", "condition"),
            *("conditionVersion", "description", "delegatedManagedIdentityResourceId"),
        ),
        located=False,
    ),
    _type(
        "compute:VirtualMachineScaleSet",
        "Microsoft.Compute/virtualMachineScaleSets",
        f"{_GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/{{vmScaleSetName}}",
        "2024-11-01",
        write_only=(
            "virtualMachineProfile.osProfile.customData",
            "virtualMachineProfile.osProfile.adminPassword",
            "virtualMachineProfile.userData",
        ),
        secret=("virtualMachineProfile.osProfile.adminPassword",),
    ),
)

RESOURCE_TYPES: dict[str, ResourceType] = {row.token: row for row in _TYPES}

GET_CLIENT_CONFIG = "azure-native:authorization:getClientConfig"
LIST_STORAGE_ACCOUNT_KEYS = "azure-native:storage:listStorageAccountKeys"
INVOKES = frozenset({GET_CLIENT_CONFIG, LIST_STORAGE_ACCOUNT_KEYS})


def type_of_id(resource_id: str) -> ResourceType | None:
    """The type that an ARM id belongs to, None when the lab has no such type."""
    return next((row for row in _TYPES if row.parse_id(resource_id) is not None), None)
