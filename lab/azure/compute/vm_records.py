"""The VMs of scale sets, as resources of the store.

Azure's id of a uniform scale set's VM is ``<scale set>/virtualMachines/<index>``; the lab
stores each VM under that id; ``private`` has what must survive the container.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.network.virtual_networks import usable_addresses

VM = "azure-native:compute:VirtualMachineScaleSetVM"

RUNNING = "running"
STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Vm:
    """One VM.

    ``profile`` (without the custom data) and ``identities`` come from the model that the VM was
    created from. With manual upgrades, it may be older than the scale set's model.
    """

    id: str
    scale_set: str
    index: int
    container: str
    computer_name: str
    vm_id: str
    address: str
    subnet: str
    zone: str | None
    model: str
    profile: JsonObject
    identities: tuple[str, ...]
    location: str
    power: str
    created: float

    @property
    def name(self) -> str:
        """The name in the metadata service: ``core_0``."""
        return f"{self.scale_set.rsplit('/', 1)[-1]}_{self.index}"

    @property
    def is_running(self) -> bool:
        return self.power == RUNNING

    def powered(self, power: str) -> "Vm":
        return replace(self, power=power)

    def as_resource(self) -> Resource:
        outputs: JsonObject = {
            "name": self.name,
            "instanceId": str(self.index),
            "vmId": self.vm_id,
            "location": self.location,
            "zones": [self.zone] if self.zone else [],
            "provisioningState": "Succeeded",
        }
        private: dict[str, Any] = asdict(self)
        inputs = {"subnet": {"id": self.subnet}}  # so that the subnet counts as used
        return Resource(id=self.id, token=VM, inputs=inputs, outputs=outputs, private=private)


def vm_of(resource: Resource) -> Vm:
    fields = {**resource.private, "identities": tuple(resource.private["identities"])}
    return Vm(**fields)


def vms(store: Store, scale_set: str = "") -> Iterator[Vm]:
    """The VMs of one scale set (or all of them), in the order of their index."""
    prefix = f"{scale_set}/virtualMachines/" if scale_set else ""
    found = [vm_of(resource) for resource in store.list(VM, prefix)]
    return iter(sorted(found, key=lambda vm: (vm.scale_set, vm.index)))


def free_addresses(store: Store, subnet: Resource) -> Iterator[str]:
    """The addresses that a new VM in the subnet may get, lowest first."""
    taken = {vm.address for vm in vms(store)}
    return (address for address in usable_addresses(subnet) if address not in taken)


def network_interface(vm: Vm) -> JsonObject:
    """The VM's only interface, as its model configures it."""
    interfaces: list[JsonObject] = vm.profile["networkProfile"]["networkInterfaceConfigurations"]
    return interfaces[0]


def backend_pools(vm: Vm) -> tuple[str, ...]:
    """Ids of the load balancer pools the VM belongs to."""
    configuration = network_interface(vm)["ipConfigurations"][0]
    pools = configuration.get("loadBalancerBackendAddressPools") or []
    return tuple(pool["id"] for pool in pools)


def security_groups(store: Store, vm: Vm) -> tuple[str, ...]:
    """Ids of the security groups that filter the VM's packets: subnet's, interface's."""
    subnet = store.get(vm.subnet)
    of_subnet = subnet.inputs.get("networkSecurityGroup") if subnet else None
    of_interface = network_interface(vm).get("networkSecurityGroup")
    return tuple(group["id"] for group in (of_subnet, of_interface) if group)
