"""The control plane in memory, and a small complete set of resources."""

import base64
import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.arm.subscription import SUBSCRIPTION_ID, TENANT_ID
from lab.azure.compute.vm_records import Vm, vms
from lab.azure.control_plane import ControlPlane
from lab.azure.resource_types import RESOURCE_TYPES
from tests.unit.lab.azure.fake_host import FakeHost

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/fleet-dev"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
ROLES = f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.Authorization/roleDefinitions"
BLOB_READER = f"{ROLES}/2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"

SUBNET = f"{NETWORK}/virtualNetworks/fleet/subnets/core"
BALANCER = f"{NETWORK}/loadBalancers/fleet"
SCALE_SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/core"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/nodes"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/fleetdata"
CONTAINER = f"{ACCOUNT}/blobServices/default/containers/registry"


@dataclass
class FakeBlobs:
    containers: set[str] = field(default_factory=set)

    async def create_container(self, account: str, container: str) -> None:
        self.containers.add(f"{account}/{container}")

    async def delete_container(self, account: str, container: str) -> None:
        self.containers.discard(f"{account}/{container}")


class Azure:
    """The whole control plane over a fake host, with short names for its types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "ca.pem").write_text("the lab's certificate")
        self.host = FakeHost()
        self.blobs = FakeBlobs()
        self.start()

    def start(self) -> None:
        """A new process with the existing state, as after a crash."""
        self.store = Store(self.folder / "resources")
        self.cloud = ControlPlane.assemble(
            store=self.store,
            host=self.host,
            blobs=self.blobs,
            authority=self.folder / "ca.pem",
            balancer=self.folder / "load-balancer.json",
        )

    async def create(self, kind: str, /, **changes: Any) -> Resource:
        """A resource of the type ``network:Subnet``: the default one, with changes."""
        return await self.cloud.manager.create(f"azure-native:{kind}", inputs_of(kind, **changes))

    async def update(self, kind: str, /, **changes: Any) -> Resource:
        token, inputs = f"azure-native:{kind}", inputs_of(kind, **changes)
        id = RESOURCE_TYPES[token].resource_id(inputs)
        return await self.cloud.manager.update(id, token, inputs)

    async def create_all(self, *kinds: str) -> None:
        for kind in kinds:
            await self.create(kind)

    def vms(self) -> list[Vm]:
        return list(vms(self.store, SCALE_SET))


EVERYTHING_BUT_VMS = (
    "resources:ResourceGroup",
    "network:NetworkSecurityGroup",
    "network:PublicIPAddress",
    "network:NatGateway",
    "network:VirtualNetwork",
    "network:Subnet",
    "network:LoadBalancer",
    "managedidentity:UserAssignedIdentity",
)


def inputs_of(kind: str, /, **changes: Any) -> JsonObject:
    inputs = copy.deepcopy(_DEFAULTS[kind])
    if kind != "authorization:RoleAssignment":
        inputs["resourceGroupName"] = "fleet-dev"
    if RESOURCE_TYPES[f"azure-native:{kind}"].located:
        inputs["location"] = "westeurope"
    return inputs | changes


def rule(name: str, port: int, **changes: Any) -> JsonObject:
    """A load balancing rule."""
    return {
        "name": name,
        "protocol": "Tcp",
        "frontendPort": port,
        "backendPort": port,
        "frontendIPConfiguration": {"id": f"{BALANCER}/frontendIPConfigurations/public"},
        "backendAddressPool": {"id": f"{BALANCER}/backendAddressPools/core"},
        "probe": {"id": f"{BALANCER}/probes/router"},
        "disableOutboundSnat": True,
    } | changes


def scale_set(
    capacity: int = 2, custom_data: str = "#cloud-config\n", **changes: Any
) -> JsonObject:
    """What to change of the default scale set: the arguments of ``create`` and ``update``."""
    profile = copy.deepcopy(_PROFILE)
    profile["osProfile"]["customData"] = base64.b64encode(custom_data.encode()).decode()
    sku = {"name": "Standard_D2s_v5", "capacity": capacity}
    return {"sku": sku, "virtualMachineProfile": profile} | changes


_PROFILE: JsonObject = {
    "osProfile": {
        "computerNamePrefix": "core",
        "adminUsername": "core",
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {
                "publicKeys": [
                    {"path": "/home/core/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA"}
                ]
            },
        },
    },
    "storageProfile": {
        "imageReference": {
            "publisher": "kinvolk",
            "offer": "flatcar-container-linux-corevm-amd64",
            "sku": "stable-gen2",
            "version": "4593.2.5",
        },
        "osDisk": {"createOption": "FromImage"},
        "dataDisks": [{"lun": 0, "createOption": "Empty", "diskSizeGB": 16}],
    },
    "networkProfile": {
        "networkInterfaceConfigurations": [
            {
                "name": "core",
                "primary": True,
                "ipConfigurations": [
                    {
                        "name": "core",
                        "subnet": {"id": SUBNET},
                        "loadBalancerBackendAddressPools": [
                            {"id": f"{BALANCER}/backendAddressPools/core"}
                        ],
                    }
                ],
            }
        ]
    },
}

_STANDARD = {"name": "Standard"}

_DEFAULTS: dict[str, JsonObject] = {
    "resources:ResourceGroup": {},
    "network:NetworkSecurityGroup": {
        "networkSecurityGroupName": "fleet",
        "securityRules": [
            {
                "name": "web",
                "priority": 100,
                "direction": "Inbound",
                "access": "Allow",
                "protocol": "Tcp",
                "sourceAddressPrefix": "*",
                "sourcePortRange": "*",
                "destinationAddressPrefix": "*",
                "destinationPortRange": "80",
            }
        ],
    },
    "network:PublicIPAddress": {
        "publicIpAddressName": "fleet",
        "sku": _STANDARD,
        "publicIPAllocationMethod": "Static",
        "dnsSettings": {"domainNameLabel": "fleet"},
    },
    "network:NatGateway": {"natGatewayName": "fleet", "sku": _STANDARD},
    "network:VirtualNetwork": {
        "virtualNetworkName": "fleet",
        "addressSpace": {"addressPrefixes": ["10.20.0.0/16"]},
    },
    "network:Subnet": {
        "virtualNetworkName": "fleet",
        "subnetName": "core",
        "addressPrefix": "10.20.0.0/24",
        "networkSecurityGroup": {"id": f"{NETWORK}/networkSecurityGroups/fleet"},
        "natGateway": {"id": f"{NETWORK}/natGateways/fleet"},
        "defaultOutboundAccess": False,
    },
    "network:LoadBalancer": {
        "loadBalancerName": "fleet",
        "sku": _STANDARD,
        "frontendIPConfigurations": [
            {"name": "public", "publicIPAddress": {"id": f"{NETWORK}/publicIPAddresses/fleet"}}
        ],
        "backendAddressPools": [{"name": "core"}],
        "probes": [{"name": "router", "protocol": "Http", "port": 8089, "requestPath": "/health"}],
        "loadBalancingRules": [rule("http", 80)],
    },
    "managedidentity:UserAssignedIdentity": {"resourceName": "nodes"},
    "storage:StorageAccount": {
        "accountName": "fleetdata",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
        "allowBlobPublicAccess": False,
    },
    "storage:BlobContainer": {"accountName": "fleetdata", "containerName": "registry"},
    "storage:BlobServiceProperties": {
        "accountName": "fleetdata",
        "blobServicesName": "default",
        "isVersioningEnabled": True,
    },
    "storage:ManagementPolicy": {
        "accountName": "fleetdata",
        "managementPolicyName": "default",
        "policy": {
            "rules": [
                {
                    "name": "old",
                    "type": "Lifecycle",
                    "definition": {
                        "actions": {
                            "baseBlob": {"delete": {"daysAfterModificationGreaterThan": 30}}
                        },
                        "filters": {"blobTypes": ["blockBlob"]},
                    },
                }
            ]
        },
    },
    "storage:Blob": {
        "accountName": "fleetdata",
        "containerName": "registry",
        "blobName": "folder/bundle.tar.gz",
        "type": "Block",
    },
    "keyvault:Vault": {
        "vaultName": "fleet1234",
        "properties": {
            "tenantId": TENANT_ID,
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": True,
        },
    },
    "keyvault:Secret": {
        "vaultName": "fleet1234",
        "secretName": "tls-key",
        "properties": {"value": "hush"},
    },
    "authorization:RoleAssignment": {
        "scope": CONTAINER,
        "roleAssignmentName": "5f1b9a34-0000-4000-8000-000000000001",
        "roleDefinitionId": BLOB_READER,
    },
    "compute:VirtualMachineScaleSet": {
        "vmScaleSetName": "core",
        "orchestrationMode": "Uniform",
        "overprovision": False,
        "upgradePolicy": {"mode": "Manual"},
        "identity": {"type": "UserAssigned", "userAssignedIdentities": [IDENTITY]},
        **scale_set(),
    },
}
