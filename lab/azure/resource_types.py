"""All resource types and functions of Azure that the lab models; all others are refused by name.

The provider plugin and the simulated Azure read the same table, so they cannot disagree. What
replaces a resource, besides its id and location, is from azure-native's generator (`forceNewMap`)
and from the `x-ms-mutability` marks in Azure's specifications. A change that Azure refuses (a scale
set's orchestration mode) is an update here too, and the simulated Azure refuses it.
"""

from lab.azure.arm import resource_groups
from lab.azure.arm.resource_types import ResourceType
from lab.azure.compute import resource_types as compute
from lab.azure.identity import resource_types as identity
from lab.azure.identity.resource_types import GET_CLIENT_CONFIG
from lab.azure.keyvault import resource_types as keyvault
from lab.azure.network import resource_types as network
from lab.azure.storage import resource_types as storage
from lab.azure.storage.resource_types import LIST_ACCOUNT_KEYS

PACKAGE_VERSION = "3.29.0"
"""Of pulumi-azure-native, whose types the plugin checks against."""

RESOURCE_TYPES: dict[str, ResourceType] = {
    each.token: each
    for types in (
        resource_groups.TYPES,
        network.TYPES,
        storage.TYPES,
        keyvault.TYPES,
        identity.TYPES,
        compute.TYPES,
    )
    for each in types
}

INVOKES = frozenset({GET_CLIENT_CONFIG, LIST_ACCOUNT_KEYS})
