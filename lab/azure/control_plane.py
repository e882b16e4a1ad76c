"""The control plane of all Azure services that the lab models."""

import logging
from dataclasses import dataclass
from pathlib import Path

from lab.azure.arm.kinds import Kind
from lab.azure.arm.manager import ResourceManager
from lab.azure.arm.resource_groups import ResourceGroupKind
from lab.azure.arm.store import Store
from lab.azure.compute.scale_sets import ScaleSetKind
from lab.azure.compute.vm_lifecycle import VmLifecycle
from lab.azure.fabric.updater import Fabric
from lab.azure.host.interface import Host, NetworkOverlap
from lab.azure.identity.managed_identities import IdentityKind
from lab.azure.identity.role_assignments import RoleAssignmentKind
from lab.azure.keyvault.vaults import SecretKind, VaultKind
from lab.azure.network.load_balancers import LoadBalancerKind
from lab.azure.network.public_addresses import NatGatewayKind, PublicAddressKind
from lab.azure.network.resource_types import VIRTUAL_NETWORK
from lab.azure.network.security_groups import SecurityGroupKind
from lab.azure.network.virtual_networks import (
    NetworkOperations,
    SubnetKind,
    VirtualNetworkKind,
    docker_network,
)
from lab.azure.resource_types import RESOURCE_TYPES
from lab.azure.storage.accounts import (
    AccountKind,
    BlobBackend,
    BlobKind,
    BlobServiceKind,
    ContainerKind,
    ManagementPolicyKind,
)

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    store: Store
    host: Host
    fabric: Fabric
    lifecycle: VmLifecycle
    scale_sets: ScaleSetKind
    manager: ResourceManager

    @classmethod
    def assemble(
        cls, *, store: Store, host: Host, blobs: BlobBackend, authority: Path, balancer: Path
    ) -> "ControlPlane":
        """``authority`` is the certificate that VMs trust, ``balancer`` the file with the
        configuration of the load balancer's process.
        """
        fabric = Fabric(store, host, balancer=balancer)
        lifecycle = VmLifecycle(store, host, authority=authority, on_start=fabric.started)
        scale_sets = ScaleSetKind(store, lifecycle)
        return cls(
            store=store,
            host=host,
            fabric=fabric,
            lifecycle=lifecycle,
            scale_sets=scale_sets,
            manager=ResourceManager(store, kinds(store, host, blobs, scale_sets), RESOURCE_TYPES),
        )

    async def resume(self) -> None:
        """Restores the networks after a restart. For the VMs, see ``VmLifecycle.heal``."""
        self.fabric.start()
        for network in self.store.list(VIRTUAL_NETWORK):
            wanted = docker_network(network.id, network.inputs)
            try:
                await self.host.create_network(wanted)
            except NetworkOverlap as overlap:
                # The rest of the lab must work, so that this network can be deleted.
                LOG.error("virtual network %s does not work: %s", network.name, overlap)


def kinds(store: Store, host: Host, blobs: BlobBackend, scale_sets: ScaleSetKind) -> list[Kind]:
    """A kind comes before the kinds that use it: a resource group is emptied from the end."""
    operations = NetworkOperations()
    return [
        ResourceGroupKind(store),
        SecurityGroupKind(store),
        PublicAddressKind(store),
        NatGatewayKind(store),
        VirtualNetworkKind(store, host, operations),
        SubnetKind(store, operations),
        LoadBalancerKind(store),
        IdentityKind(store),
        AccountKind(store),
        BlobServiceKind(store),
        ManagementPolicyKind(store),
        ContainerKind(store, blobs),
        BlobKind(store),
        VaultKind(store),
        SecretKind(store),
        RoleAssignmentKind(store),
        scale_sets,
    ]
