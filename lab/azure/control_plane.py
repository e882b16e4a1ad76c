"""The control plane, put together: every service of Azure that the lab models."""

import logging
from dataclasses import dataclass
from pathlib import Path

from lab.azure.arm.kinds import Kind
from lab.azure.arm.manager import ResourceManager
from lab.azure.arm.resource_groups import ResourceGroupKind
from lab.azure.arm.store import Store
from lab.azure.compute.scale_sets import ScaleSetKind
from lab.azure.compute.vm_lifecycle import Nodes
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
    nodes: Nodes
    scale_sets: ScaleSetKind
    manager: ResourceManager

    @classmethod
    def assemble(
        cls, *, store: Store, host: Host, blobs: BlobBackend, authority: Path, balancer: Path
    ) -> "ControlPlane":
        """``authority`` is the certificate that machines are to trust, ``balancer`` the file with
        the orders for the load balancer's process.
        """
        fabric = Fabric(store, host, balancer=balancer)
        nodes = Nodes(store, host, authority=authority, on_start=fabric.started)
        scale_sets = ScaleSetKind(store, nodes)
        return cls(
            store=store,
            host=host,
            fabric=fabric,
            nodes=nodes,
            scale_sets=scale_sets,
            manager=ResourceManager(store, kinds(store, host, blobs, scale_sets), RESOURCE_TYPES),
        )

    async def resume(self) -> None:
        """Takes up what the last process left. For the machines, see ``Nodes.heal``."""
        self.fabric.start()
        for network in self.store.list(VIRTUAL_NETWORK):
            wanted = docker_network(network.id, network.inputs)
            try:
                await self.host.create_network(wanted)
            except NetworkOverlap as overlap:
                # The rest of the lab, and the way to delete this network, must stay.
                LOG.error("virtual network %s is out of order: %s", network.name, overlap)


def kinds(store: Store, host: Host, blobs: BlobBackend, scale_sets: ScaleSetKind) -> list[Kind]:
    """What is used before what uses it: a group is emptied from the end."""
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
