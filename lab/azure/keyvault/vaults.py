"""Microsoft.KeyVault: vaults (RBAC only), and secrets as the resource manager creates them.

`vault_service` reads and deletes secrets. azure-native deletes a secret through the data plane,
from the deployer's address and with the deployer's roles; so `SecretKind` checks both.
"""

import time
from dataclasses import asdict

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.store import JsonObject, Resource
from lab.azure.arm.subscription import DEPLOYER_OBJECT_ID, TENANT_ID
from lab.azure.identity.roles import SECRET_DELETE, Roles
from lab.azure.keyvault import secrets
from lab.azure.keyvault.resource_types import SECRET, VAULT, VAULT_SUFFIX
from lab.azure.keyvault.vault_service import Forbidden
from lab.azure.network import service_firewalls
from lab.azure.network.service_firewalls import DEVELOPER

DELETED_VAULT = "azure-native:keyvault:DeletedVault"
"""The lab's own type for a soft-deleted vault, whose name stays taken."""


class VaultKind(Kind):
    token = VAULT
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "vaultName",
                "location",
                "tags.*",
                "properties.sku.family",
                "properties.sku.name",
                "properties.tenantId",
                "properties.publicNetworkAccess",
                "properties.networkAcls.defaultAction",
                "properties.networkAcls.bypass",
                "properties.networkAcls.ipRules.value",
                "properties.networkAcls.virtualNetworkRules.id",
                "properties.enablePurgeProtection",
                "properties.softDeleteRetentionInDays",
            }
        ),
        only={
            "properties.enableRbacAuthorization": (True,),
            "properties.enableSoftDelete": (True,),
            "properties.createMode": ("default",),
        },
        inert={
            "properties.enabledForDeployment": "only for certificates that Azure itself installs",
            "properties.enabledForDiskEncryption": "disks are not encrypted in the lab",
            "properties.enabledForTemplateDeployment": "there are no templates in the lab",
        },
    )

    def check(self, request: Request) -> None:
        naming.VAULT.check(request.name)
        settings = request.inputs.get("properties") or {}
        if not settings.get("enableRbacAuthorization"):
            # The default is access policies, which the lab does not model.
            raise not_modelled("vaults without enableRbacAuthorization (access policies)")
        if settings.get("tenantId") != TENANT_ID:
            message = f"The tenant {settings.get('tenantId')} is not the subscription's."
            raise AzureError("BadRequest", message)
        sku = settings.get("sku") or {}
        if sku.get("family") != "A" or sku.get("name") not in ("standard", "premium"):
            raise AzureError("BadRequest", f"The sku {sku} of '{request.name}' is not valid.")
        if not 7 <= settings.get("softDeleteRetentionInDays", 90) <= 90:
            message = "softDeleteRetentionInDays must be between 7 and 90."
            raise AzureError("BadRequest", message)
        self._check_settled(request, settings)
        service_firewalls.check(self.store, settings.get("networkAcls") or {}, "vault")
        self._check_name_is_free(request)

    async def write(self, request: Request) -> Answer:
        settings = request.inputs["properties"]
        url = f"https://{request.name}{VAULT_SUFFIX}/"
        return Answer(
            outputs={
                "properties": {
                    "enableSoftDelete": True,
                    "softDeleteRetentionInDays": 90,
                    **settings,
                    "vaultUri": url,
                    "provisioningState": "Succeeded",
                }
            }
        )

    async def remove(self, resource: Resource) -> None:
        secrets.forget_vault(self.store, resource.id)
        self.store.put(
            Resource(
                id=_deleted_id(resource.name),
                token=DELETED_VAULT,
                inputs={},
                outputs={},
                private={"vault": asdict(resource), "deletedAt": time.time()},
            )
        )

    def _check_settled(self, request: Request, settings: JsonObject) -> None:
        """Refuses to undo settings that Azure makes permanent."""
        before = (request.before.inputs.get("properties") or {}) if request.before else {}
        if settings.get("enablePurgeProtection") is False:
            # The REST specification: "Setting this property to false is not accepted".
            message = 'The property "enablePurgeProtection" cannot be set to false.'
            raise AzureError("BadRequest", message)
        if before.get("enablePurgeProtection") and not settings.get("enablePurgeProtection"):
            message = 'The property "enablePurgeProtection" cannot be set to false again.'
            raise AzureError("BadRequest", message)
        old = before.get("softDeleteRetentionInDays", 90)
        if before and settings.get("softDeleteRetentionInDays", old) != old:
            message = 'The property "softDeleteRetentionInDays" cannot be changed after creation.'
            raise AzureError("BadRequest", message)

    def _check_name_is_free(self, request: Request) -> None:
        taken = f"The vault name '{request.name}' is already in use"
        for other in self.store.list(VAULT):
            same = other.name.lower() == request.name.lower()
            if same and other.id.lower() != request.id.lower():
                raise AzureError("VaultAlreadyExists", f"{taken}.", 409)
        if request.before is None and self.store.get(_deleted_id(request.name)):
            message = f"{taken} by a vault in deleted state. Recover or purge that vault, or "
            message += "choose another name."
            raise AzureError("ConflictError", message, 409)


class SecretKind(Kind):
    token = SECRET
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "vaultName",
                "secretName",
                "tags.*",
                "properties.value",
                "properties.contentType",
                "properties.attributes.enabled",
                "properties.attributes.expires",
                "properties.attributes.notBefore",
            }
        )
    )

    def check(self, request: Request) -> None:
        naming.SECRET.check(request.name)
        if request.before is None:
            secrets.check_name_is_free(self.store, _vault_id(request.id), request.name)
        self._with_version(request)

    async def write(self, request: Request) -> Answer:
        private = self._with_version(request)
        version = private["versions"][-1]
        url = f"https://{_vault_id(request.id).rsplit('/', 1)[-1]}{VAULT_SUFFIX}"
        url = f"{url}/secrets/{request.name}"
        settings = request.inputs.get("properties") or {}
        shown = {key: value for key, value in settings.items() if key != "value"}
        attributes = {"enabled": True, **shown.pop("attributes", {})}
        times = {"created": int(version["created"]), "updated": int(version["updated"])}
        outputs = {
            "properties": {
                **shown,
                "attributes": {**attributes, **times},
                "secretUri": url,
                "secretUriWithVersion": f"{url}/{version['id']}",
            }
        }
        return Answer(outputs=outputs, private=private)

    def check_delete(self, resource: Resource) -> None:
        vault = self.store.get(_vault_id(resource.id))
        assert vault is not None, "a vault is deleted after its secrets"
        rules = service_firewalls.of_vault(vault.inputs["properties"])
        if not rules.admit(DEVELOPER, self.store):
            message = f"Client address is not authorized. Client address: {DEVELOPER.address}"
            raise Forbidden("ForbiddenByFirewall", message)
        if not Roles(self.store).allows(DEPLOYER_OBJECT_ID, SECRET_DELETE, resource.id):
            message = f"Caller is not authorized to perform action '{SECRET_DELETE}' on resource "
            message += f"'{resource.id}'. If role assignments were changed recently, please wait "
            message += "several minutes for them to become effective."
            raise Forbidden("ForbiddenByRbac", message)

    async def remove(self, resource: Resource) -> None:
        secrets.delete(self.store, resource)

    def _with_version(self, request: Request) -> JsonObject:
        settings = request.inputs.get("properties") or {}
        return secrets.with_version(request.before, settings, request.inputs.get("tags"))


def _vault_id(secret_id: str) -> str:
    return secret_id.rsplit("/secrets/", 1)[0]


def _deleted_id(name: str) -> str:
    return f"/providers/Microsoft.KeyVault/deletedVaults/{name.lower()}"
