"""The resource types of Microsoft.KeyVault, and how a vault is addressed."""

from lab.azure.arm.resource_types import GROUP_ID, AutoName, resource_type

VAULT = "azure-native:keyvault:Vault"
SECRET = "azure-native:keyvault:Secret"

VAULT_SUFFIX = ".vault.azure.net"
"""The part of a vault's host name after its name."""

VAULT_AUDIENCE = "https://vault.azure.net"
"""What a token must be for."""

_VAULT_ID = f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/{{vaultName}}"
_API_VERSION = "2024-11-01"

TYPES = (
    resource_type(
        VAULT,
        "Microsoft.KeyVault/vaults",
        _VAULT_ID,
        _API_VERSION,
        standalone_lists=("properties.accessPolicies",),
    ),
    resource_type(
        SECRET,
        "Microsoft.KeyVault/vaults/secrets",
        f"{_VAULT_ID}/secrets/{{secretName}}",
        _API_VERSION,
        autoname=AutoName.COPY,
        write_only=("properties.value",),
        secret=("properties.value",),
        located=False,
    ),
)
