"""The vault: what nodes must keep secret, and the secrets and certificates of services.

Values are written by ARM and never read back; nodes fetch them with their managed identity.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native import keyvault

SOFT_DELETE_DAYS = 7
"""The least that Azure allows. A deleted vault keeps its name that long, hence auto-naming."""


@dataclass(kw_only=True, frozen=True)
class KeyVaultArgs:
    resource_group_name: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    """The machines' subnet, which may reach the vault."""
    public_admin_cidrs: Sequence[IPv4Network]
    """From where else it may be reached."""
    secrets: Mapping[str, pulumi.Input[str]]
    """Secret values by the name that nodes ask for when they boot."""
    versioned_secrets: Mapping[str, pulumi.Input[str]]
    """Secret values that come and go, by name; who needs one is told its reference."""
    protect: bool
    """Refuse to delete the vault, and to purge what was deleted from it."""


class KeyVault(pulumi.ComponentResource):
    """Outputs: `vault_id` (a scope for roles), `url` without a slash at the end, `references`."""

    vault_id: pulumi.Output[str]
    url: pulumi.Output[str]
    secrets: list[pulumi.Resource]
    """What nodes fetch at boot."""
    references: dict[str, pulumi.Output[str]]
    """`name/version` in the vault of each versioned secret. Another value is another version."""

    def __init__(self, name: str, args: KeyVaultArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:KeyVault", name, {}, opts)

        vault = keyvault.Vault(
            # Pulumi adds eight digits: unique worldwide, at most 24 characters
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
                # it can only be switched on: Azure refuses False, and a vault that has it keeps it
                ignore_changes=[] if args.protect else ["properties.enablePurgeProtection"],
            ),
        )
        in_vault = functools.partial(
            keyvault.Secret,
            vault_name=vault.name,
            resource_group_name=args.resource_group_name,
            # deleting one goes through the vault's data plane; with the vault, it need not
            opts=pulumi.ResourceOptions(parent=self, deleted_with=vault),
        )
        self.secrets = [
            in_vault(f"{name}-{secret}", secret_name=secret, properties=_properties(value))
            for secret, value in args.secrets.items()
        ]
        # Without a name: a deleted secret keeps its own for days, and a customer may come back.
        # Pulumi.yaml says what Pulumi adds (pulumi:autonaming).
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
    """Where the vault has this very value. No secret, though it comes from the same resource."""
    return pulumi.Output.unsecret(
        secret.properties.apply(
            lambda known: "/".join(known.secret_uri_with_version.split("/")[-2:])
        )
    )
