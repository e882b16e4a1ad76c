"""Resources as the control plane would have stored them, for tests of the data plane."""

from dataclasses import dataclass

from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.arm.subscription import SUBSCRIPTION_ID
from lab.azure.compute.vm_records import RUNNING, Vm
from lab.azure.keyvault import secrets

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/fleet-dev"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/fleet/subnets/core"
KEY = "c2hhcmVkIGtleSBvZiB0aGUgdGVzdHM="

BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"

NODE = "11111111-1111-4111-8111-111111111111"
"""Object id of the identity that `StoredResources.vm` gives to a VM."""


@dataclass(frozen=True)
class StoredResources:
    """Writes resources into the store; ids are returned."""

    store: Store

    def account(self, name: str, **inputs: object) -> str:
        return self._put(
            "Microsoft.Storage/storageAccounts",
            name,
            "storage:StorageAccount",
            inputs={"accountName": name, "allowBlobPublicAccess": False, **inputs},
            private={"keys": [KEY, KEY]},
        )

    def container(self, account_id: str, name: str) -> str:
        id = f"{account_id}/blobServices/default/containers/{name}"
        self._resource(id, "storage:BlobContainer", {"containerName": name})
        return id

    def vault(self, name: str, **properties: object) -> str:
        settings = {"enableRbacAuthorization": True, **properties}
        return self._put(
            "Microsoft.KeyVault/vaults",
            name,
            "keyvault:Vault",
            inputs={"location": "westeurope", "properties": settings},
        )

    def secret(self, vault_id: str, name: str, value: str) -> str:
        id = f"{vault_id}/secrets/{name}"
        private = secrets.with_version(self.store.get(id), {"value": value})
        self._resource(id, "keyvault:Secret", {"secretName": name}, private=private)
        return id

    def assign(self, role: str, scope: str, principal: str = NODE, created: float = 0) -> None:
        name = f"{role[:8]}-{principal[:8]}-{abs(hash(scope))}"
        definition = f"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{role}"
        inputs = {"scope": scope, "roleDefinitionId": definition, "principalId": principal}
        id = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
        private: JsonObject = {"createdAt": created}
        self._resource(id, "authorization:RoleAssignment", inputs, private=private)

    def identity(self, name: str, principal: str = NODE) -> str:
        outputs = {"clientId": f"client-of-{name}", "principalId": principal}
        return self._put(
            "Microsoft.ManagedIdentity/userAssignedIdentities",
            name,
            "managedidentity:UserAssignedIdentity",
            outputs=outputs,
        )

    def subnet(self, *endpoints: str) -> None:
        services = [{"service": each} for each in endpoints]
        inputs = {"addressPrefix": "10.31.0.0/24", "serviceEndpoints": services}
        self._resource(SUBNET, "network:Subnet", inputs)

    def public_address(self, address: str, fqdn: str) -> None:
        outputs = {"ipAddress": address, "dnsSettings": {"fqdn": fqdn}}
        self._put(
            "Microsoft.Network/publicIPAddresses", "ip", "network:PublicIPAddress", outputs=outputs
        )

    def vm(
        self,
        address: str,
        *identities: str,
        index: int = 0,
        zone: str | None = "1",
        power: str = RUNNING,
        subnet: str = SUBNET,
    ) -> Vm:
        scale_set = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/core"
        vm = Vm(
            id=f"{scale_set}/virtualMachines/{index}",
            scale_set=scale_set,
            index=index,
            container=f"fleet-lab-core-{index}",
            computer_name=f"core00000{index}",
            vm_id="0f0e0d0c-0000-4000-8000-000000000000",
            address=address,
            subnet=subnet,
            zone=zone,
            model="1",
            profile={"osProfile": {"adminUsername": "core"}, "userData": "dXNlciBkYXRh"},
            identities=identities,
            location="westeurope",
            power=power,
            created=0,
        )
        self.store.put(vm.as_resource())
        return vm

    def _put(
        self,
        arm_type: str,
        name: str,
        token: str,
        *,
        inputs: JsonObject | None = None,
        outputs: JsonObject | None = None,
        private: JsonObject | None = None,
    ) -> str:
        id = f"{GROUP}/providers/{arm_type}/{name}"
        self._resource(id, token, inputs or {}, outputs=outputs, private=private)
        return id

    def _resource(
        self,
        id: str,
        token: str,
        inputs: JsonObject,
        *,
        outputs: JsonObject | None = None,
        private: JsonObject | None = None,
    ) -> None:
        self.store.put(
            Resource(
                id=id,
                token=f"azure-native:{token}",
                inputs=inputs,
                outputs=outputs or {},
                private=private or {},
            )
        )
