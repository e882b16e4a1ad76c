"""Microsoft.Storage: accounts, their blob service, containers and lifecycle rules.

`blob_service` serves the blobs, from a ``BlobBackend``.
"""

import base64
import secrets
from typing import Protocol

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.network import service_firewalls
from lab.azure.storage.resource_types import (
    ACCOUNT,
    BLOB,
    BLOB_SERVICE,
    CONTAINER,
    MANAGEMENT_POLICY,
    STORAGE_SUFFIX,
)

_SKUS = frozenset(
    f"{tier}_{kind}"
    for tier, kinds in (
        ("Standard", ("LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS")),
        ("Premium", ("LRS", "ZRS")),
    )
    for kind in kinds
)


class BlobBackend(Protocol):
    """Keeps containers. Creating twice and deleting twice are no errors."""

    async def create_container(self, account: str, container: str) -> None: ...

    async def delete_container(self, account: str, container: str) -> None: ...


class AccountKind(Kind):
    token = ACCOUNT
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "accountName",
                "location",
                "tags.*",
                "sku.name",
                "allowSharedKeyAccess",
                "publicNetworkAccess",
                "networkRuleSet.defaultAction",
                "networkRuleSet.bypass",
                "networkRuleSet.ipRules.action",
                "networkRuleSet.ipRules.iPAddressOrRange",
                "networkRuleSet.virtualNetworkRules.action",
                "networkRuleSet.virtualNetworkRules.virtualNetworkResourceId",
            }
        ),
        only={
            "kind": ("StorageV2",),
            "allowBlobPublicAccess": (False,),
            "enableHttpsTrafficOnly": (True,),
            # The lab's front has TLS 1.2 and later.
            "minimumTlsVersion": ("TLS1_2", "TLS1_3"),
            "isHnsEnabled": (False,),
            "isSftpEnabled": (False,),
            "enableNfsV3": (False,),
            "dnsEndpointType": ("Standard",),
        },
        inert={
            "accessTier": "it changes only the price",
            "allowCrossTenantReplication": "there is one tenant",
            "defaultToOAuthAuthentication": "only the portal uses it",
            "encryption.keySource": "nothing is encrypted at rest in the lab",
            "encryption.requireInfrastructureEncryption": "nothing is encrypted at rest in the lab",
            "encryption.services.blob.enabled": "nothing is encrypted at rest in the lab",
            "encryption.services.blob.keyType": "nothing is encrypted at rest in the lab",
        },
    )

    def check(self, request: Request) -> None:
        naming.STORAGE_ACCOUNT.check(request.name)
        if (request.inputs.get("sku") or {}).get("name") not in _SKUS:
            message = f"The sku {request.inputs.get('sku')} of '{request.name}' is not valid."
            raise AzureError("InvalidSkuName", message)
        service_firewalls.check(self.store, request.inputs.get("networkRuleSet") or {}, "storage")
        for other in self.store.list(ACCOUNT):
            if other.name == request.name and other.id.lower() != request.id.lower():
                message = f"The storage account named {request.name} is already taken."
                raise AzureError("StorageAccountAlreadyTaken", message, 409)

    async def write(self, request: Request) -> Answer:
        keys = request.before.private["keys"] if request.before else [_new_key(), _new_key()]
        tier = request.inputs["sku"]["name"].partition("_")[0]
        outputs = {
            "sku": {**request.inputs["sku"], "tier": tier},
            "primaryEndpoints": {"blob": f"https://{request.name}{STORAGE_SUFFIX}/"},
            "primaryLocation": request.location,
            "statusOfPrimary": "available",
            "allowBlobPublicAccess": False,
            "creationTime": "",
            "isLocalUserEnabled": False,
            "keyCreationTime": {},
            "privateEndpointConnections": [],
            "secondaryEndpoints": {},
        }
        return Answer(outputs=outputs, private={"keys": keys})


class BlobServiceKind(Kind):
    """Azure creates it with its account, so to create it is to update it."""

    token = BLOB_SERVICE
    always_exists = True
    properties = Properties(
        modelled=frozenset({"resourceGroupName", "accountName", "blobServicesName"}),
        inert={
            "isVersioningEnabled": "nothing in the lab reads an older version",
            "deleteRetentionPolicy.enabled": "nothing in the lab undeletes a blob",
            "deleteRetentionPolicy.days": "nothing in the lab undeletes a blob",
            "deleteRetentionPolicy.allowPermanentDelete": "nothing in the lab undeletes a blob",
            "containerDeleteRetentionPolicy.enabled": "nothing in the lab undeletes a container",
            "containerDeleteRetentionPolicy.days": "nothing in the lab undeletes a container",
            "changeFeed.enabled": "nothing in the lab reads the change feed",
            "changeFeed.retentionInDays": "nothing in the lab reads the change feed",
        },
    )

    def check(self, request: Request) -> None:
        _require_default(request)
        for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
            _check_retention(request.inputs.get(policy) or {}, policy)


class ContainerKind(Kind):
    token = CONTAINER
    properties = Properties(
        modelled=frozenset({"resourceGroupName", "accountName", "containerName"}),
        only={"publicAccess": ("None",)},
        inert={"metadata.*": "a note for readers"},
    )

    def __init__(self, store: Store, backend: BlobBackend) -> None:
        super().__init__(store)
        self._backend = backend

    def check(self, request: Request) -> None:
        naming.BLOB_CONTAINER.check(request.name)

    async def write(self, request: Request) -> Answer:
        await self._backend.create_container(request.path["accountName"], request.name)
        outputs: JsonObject = {
            "publicAccess": "None",
            "hasImmutabilityPolicy": False,
            "hasLegalHold": False,
            "leaseState": "Available",
            "leaseStatus": "Unlocked",
            "deleted": False,
        }
        return Answer(outputs=outputs)

    async def remove(self, resource: Resource) -> None:
        await self._backend.delete_container(account_of(resource.id), resource.name)


class BlobKind(Kind):
    """The record of a blob. azure-native uploads the content with the account's key."""

    token = BLOB
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "accountName",
                "containerName",
                "blobName",
                "contentType",
                "contentMd5",
                "metadata.*",
            }
        ),
        only={"type": ("Block",)},
        inert={"accessTier": "it changes only the price"},
    )


class ManagementPolicyKind(Kind):
    token = MANAGEMENT_POLICY
    properties = Properties(
        modelled=frozenset({"resourceGroupName", "accountName", "managementPolicyName"}),
        inert={
            f"policy.rules.{path}": "Azure runs lifecycle rules once a day; a lab lives for hours"
            for path in (
                "name",
                "enabled",
                "type",
                "definition.filters.blobTypes",
                "definition.filters.prefixMatch",
                "definition.actions.baseBlob.delete.daysAfterModificationGreaterThan",
                "definition.actions.baseBlob.delete.daysAfterCreationGreaterThan",
                "definition.actions.baseBlob.tierToCool.daysAfterModificationGreaterThan",
                "definition.actions.version.delete.daysAfterCreationGreaterThan",
                "definition.actions.snapshot.delete.daysAfterCreationGreaterThan",
            )
        },
    )

    def check(self, request: Request) -> None:
        _require_default(request)
        rules = (request.inputs.get("policy") or {}).get("rules") or []
        if not rules:
            raise AzureError("InvalidRequestPropertyValue", "A policy needs at least one rule.")
        given = [rule.get("name") for rule in rules]
        for rule in rules:
            _check_lifecycle(rule)
            if given.count(rule["name"]) > 1:
                message = f"Two rules of the policy are named '{rule['name']}'."
                raise AzureError("InvalidRequestPropertyValue", message)


def account_of(container_id: str) -> str:
    return container_id.partition("/storageAccounts/")[2].partition("/")[0]


def account_keys(store: Store, account_id: str) -> JsonObject:
    """Azure's listKeys. Like Azure, it answers even if the account does not allow keys."""
    account = store.get(account_id)
    if account is None or account.token != ACCOUNT:
        raise AzureError("ResourceNotFound", f"The Resource '{account_id}' was not found.", 404)
    return {
        "keys": [
            {"keyName": f"key{number}", "value": value, "permissions": "FULL"}
            for number, value in enumerate(account.private["keys"], start=1)
        ]
    }


def _check_lifecycle(rule: JsonObject) -> None:
    definition = rule.get("definition") or {}
    if not rule.get("name") or rule.get("type") != "Lifecycle" or not definition.get("actions"):
        message = f"The lifecycle rule {rule.get('name')!r} needs a name, type and actions."
        raise AzureError("InvalidRequestPropertyValue", message)
    for blob_type in (definition.get("filters") or {}).get("blobTypes") or []:
        if blob_type not in ("blockBlob", "appendBlob"):
            raise AzureError("InvalidRequestPropertyValue", f"No such blob type: {blob_type!r}.")


def _check_retention(policy: JsonObject, name: str) -> None:
    if policy.get("enabled") and not 1 <= policy.get("days", 0) <= 365:
        message = f"{name}.days is {policy.get('days')}; 1 to 365."
        raise AzureError("InvalidXmlNodeValue", message)


def _require_default(request: Request) -> None:
    if request.name != "default":
        raise not_modelled(f"a '{request.name}' here: Azure has exactly one, named 'default'")


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()
