"""The vault: the nodes' secrets, and the secrets and certificates of services.

The program writes values through ARM and never reads them; nodes fetch them with their identity.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native import keyvault

SOFT_DELETE_DAYS = 7
"""Azure's minimum. Azure reserves the name of a deleted vault that long, so Pulumi adds digits."""


@dataclass(kw_only=True, frozen=True)
class KeyVaultArgs:
    resource_group_name: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    """The nodes' subnet, which may reach the vault."""
    public_admin_cidrs: Sequence[IPv4Network]
    """The other ranges that may reach the vault."""
    secrets: Mapping[str, pulumi.Input[str]]
    """Values of the secrets that nodes fetch at boot, by name."""
    versioned_secrets: Mapping[str, pulumi.Input[str]]
    """Values of secrets that change with the config, by name. Users get a reference."""
    protect: bool
    """Refuse to delete the vault, and to purge deleted secrets."""


class KeyVault(pulumi.ComponentResource):
    """Outputs: `vault_id` (a scope for roles), `url` (no slash at the end), `references`."""

    vault_id: pulumi.Output[str]
    url: pulumi.Output[str]
    secrets: list[pulumi.Resource]
    """The secrets that nodes fetch at boot."""
    references: dict[str, pulumi.Output[str]]
    """`name/version` of each versioned secret. A new value gets a new version."""

    def __init__(self, name: str, args: KeyVaultArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:KeyVault", name, {}, opts)

        vault = keyvault.Vault(
            # Pulumi adds eight digits: the name must be unique worldwide, at most 24 characters
            "fleet",
            resource_group_name=args.resource_group_name,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=args.tenant_id,
                sku=keyvault.SkuArgs(family=keyvault.SkuFamily.A, name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=SOFT_DELETE_DAYS,
                enable_purge_protection=True if args.protect else None,
                public_network_access="Enabled",
                network_acls=keyvault.NetworkRuleSetArgs(
                    default_action=keyvault.NetworkRuleAction.DENY,
                    bypass=keyvault.NetworkRuleBypassOptions.NONE,
                    virtual_network_rules=[keyvault.VirtualNetworkRuleArgs(id=args.subnet_id)],
                    ip_rules=[
                        keyvault.IPRuleArgs(value=str(cidr)) for cidr in args.public_admin_cidrs
                    ],
                ),
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # purge protection can't be switched off: Azure refuses False
                ignore_changes=[] if args.protect else ["properties.enablePurgeProtection"],
            ),
        )
        in_vault = functools.partial(
            keyvault.Secret,
            vault_name=vault.name,
            resource_group_name=args.resource_group_name,
            # destroying the vault must not first delete each secret through the data plane
            opts=pulumi.ResourceOptions(parent=self, deleted_with=vault),
        )
        self.secrets = [
            in_vault(f"{name}-{secret}", secret_name=secret, properties=_properties(value))
            for secret, value in args.secrets.items()
        ]
        # Azure reserves the name of a deleted secret for days, and a customer may be added again.
        # So Pulumi adds digits to these names (pulumi:autonaming in Pulumi.yaml).
        self.references = {
            secret: _reference(in_vault(secret, properties=_properties(value)))
            for secret, value in args.versioned_secrets.items()
        }

        self.vault_id = vault.id
        self.url = pulumi.Output.concat("https://", vault.name, ".vault.azure.net")
        self.register_outputs({"vault_id": self.vault_id, "url": self.url})


def _properties(value: pulumi.Input[str]) -> keyvault.SecretPropertiesArgs:
    return keyvault.SecretPropertiesArgs(value=pulumi.Output.secret(value))


def _reference(secret: keyvault.Secret) -> pulumi.Output[str]:
    """The reference to this version. It is not secret, although its resource's outputs are."""
    return pulumi.Output.unsecret(
        secret.properties.apply(
            lambda known: "/".join(known.secret_uri_with_version.split("/")[-2:])
        )
    )
