"""Two storage accounts: *artefacts*, from which nodes boot, and *data*, which must not be lost.

The account *data* has no keys, so only identities have access. *artefacts* has keys, because
azure-native uploads blobs with them (pulumi-azure-native#2015, #2948). It holds nothing secret, and
nodes check every file's sha256.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native import storage

from components.rendering.artefacts import Artefacts

SOFT_DELETE_DAYS = 7
OLD_VERSION_DAYS = 14
BACKUP_DAYS = 30


@dataclass(kw_only=True, frozen=True)
class StorageArgs:
    resource_group_name: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    """The nodes' subnet, which may reach the accounts."""
    public_admin_cidrs: Sequence[IPv4Network]
    """The other ranges that may reach the accounts."""
    artefacts: Artefacts
    protect: bool
    """Refuse to delete the data account."""


class Storage(pulumi.ComponentResource):
    """Outputs: the accounts' names, and the containers' ids (scopes for roles)."""

    artefacts_account: pulumi.Output[str]
    data_account: pulumi.Output[str]
    nodes_container: pulumi.Output[str]
    registry_container: pulumi.Output[str]
    cluster_container: pulumi.Output[str]
    backups_container: pulumi.Output[str]
    uploads: list[pulumi.Resource]
    """The files that nodes fetch at boot. They must exist before nodes start."""

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:Storage", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = pulumi.ResourceOptions(parent=self, protect=args.protect)

        # The files that nodes boot from.
        artefacts = _account("fleetartefact", args, shared_keys=True, opts=child)
        nodes = _container("nodes", artefacts, args, child)
        self.uploads = [
            storage.Blob(
                # The hash is part of the resource's name, so the new blob is created before the
                # old one is deleted.
                f"{name}-{artefact.name}-{artefact.sha256[:12]}",
                blob_name=artefact.blob_name,
                resource_group_name=args.resource_group_name,
                account_name=artefacts.name,
                container_name=nodes.name,
                type=storage.BlobType.BLOCK,
                content_type="application/gzip",
                source=pulumi.FileAsset(artefact.path),
                opts=child,
            )
            for artefact in args.artefacts.all()
        ]

        # Data that must not be lost: pushed images and the record of etcd's members. Nothing writes
        # to `backups` yet; it stays because running stacks have it.
        data = _account("fleetdata", args, shared_keys=False, opts=kept)
        containers = {
            each: _container(each, data, args, kept) for each in ("registry", "cluster", "backups")
        }
        _protect_from_mistakes(name, data, args, child)

        self.artefacts_account = artefacts.name
        self.data_account = data.name
        self.nodes_container = nodes.id
        self.registry_container = containers["registry"].id
        self.cluster_container = containers["cluster"].id
        self.backups_container = containers["backups"].id
        self.register_outputs(
            {"artefacts_account": self.artefacts_account, "data_account": self.data_account}
        )


def _account(
    logical_name: str, args: StorageArgs, *, shared_keys: bool, opts: pulumi.ResourceOptions
) -> storage.StorageAccount:
    """An account. Pulumi adds eight digits: the name must be unique worldwide (3-24 a-z0-9)."""
    return storage.StorageAccount(
        logical_name,
        resource_group_name=args.resource_group_name,
        kind=storage.Kind.STORAGE_V2,
        sku=storage.SkuArgs(name=storage.SkuName.STANDARD_LRS),
        allow_blob_public_access=False,
        allow_shared_key_access=shared_keys,
        enable_https_traffic_only=True,
        minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
        public_network_access=storage.PublicNetworkAccess.ENABLED,
        network_rule_set=storage.NetworkRuleSetArgs(
            default_action=storage.DefaultAction.DENY,
            bypass=storage.Bypass.NONE,
            virtual_network_rules=[
                storage.VirtualNetworkRuleArgs(
                    virtual_network_resource_id=args.subnet_id, action=storage.Action.ALLOW
                )
            ],
            ip_rules=[
                storage.IPRuleArgs(i_p_address_or_range=address, action=storage.Action.ALLOW)
                for address in ip_rules(args.public_admin_cidrs)
            ],
        ),
        opts=opts,
    )


def ip_rules(cidrs: Sequence[IPv4Network]) -> list[str]:
    """Ranges in storage's format: a single address has no /32."""
    return sorted(
        str(cidr.network_address) if cidr.prefixlen == 32 else str(cidr) for cidr in cidrs
    )


def _container(
    name: str,
    account: storage.StorageAccount,
    args: StorageArgs,
    opts: pulumi.ResourceOptions,
) -> storage.BlobContainer:
    return storage.BlobContainer(
        name,
        container_name=name,
        resource_group_name=args.resource_group_name,
        account_name=account.name,
        public_access=storage.PublicAccess.NONE,
        opts=opts,
    )


def _protect_from_mistakes(
    name: str,
    account: storage.StorageAccount,
    args: StorageArgs,
    opts: pulumi.ResourceOptions,
) -> None:
    """Versions and soft delete for a limited time: deleted or overwritten data can be restored."""
    retention = storage.DeleteRetentionPolicyArgs(enabled=True, days=SOFT_DELETE_DAYS)
    storage.BlobServiceProperties(
        f"{name}-data",
        blob_services_name="default",
        resource_group_name=args.resource_group_name,
        account_name=account.name,
        is_versioning_enabled=True,
        delete_retention_policy=retention,
        container_delete_retention_policy=retention,
        opts=opts,
    )
    storage.ManagementPolicy(
        f"{name}-data",
        management_policy_name="default",
        resource_group_name=args.resource_group_name,
        account_name=account.name,
        policy=storage.ManagementPolicySchemaArgs(
            rules=[
                _lifecycle_rule(
                    "delete-old-backups",
                    prefixes=["backups/"],
                    actions=storage.ManagementPolicyActionArgs(
                        base_blob=storage.ManagementPolicyBaseBlobArgs(
                            delete=storage.DateAfterModificationArgs(
                                days_after_modification_greater_than=BACKUP_DAYS
                            )
                        )
                    ),
                ),
                _lifecycle_rule(
                    "delete-old-versions",
                    prefixes=["backups/", "cluster/", "registry/"],
                    actions=storage.ManagementPolicyActionArgs(
                        version=storage.ManagementPolicyVersionArgs(
                            delete=storage.DateAfterCreationArgs(
                                days_after_creation_greater_than=OLD_VERSION_DAYS
                            )
                        )
                    ),
                ),
            ]
        ),
        opts=opts,
    )


def _lifecycle_rule(
    name: str, *, prefixes: list[str], actions: storage.ManagementPolicyActionArgs
) -> storage.ManagementPolicyRuleArgs:
    return storage.ManagementPolicyRuleArgs(
        name=name,
        enabled=True,
        type=storage.RuleType.LIFECYCLE,
        definition=storage.ManagementPolicyDefinitionArgs(
            filters=storage.ManagementPolicyFilterArgs(
                blob_types=["blockBlob"], prefix_match=prefixes
            ),
            actions=actions,
        ),
    )
