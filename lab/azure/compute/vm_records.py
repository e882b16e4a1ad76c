"""The machines of scale sets, as resources of the store.

Azure's id of a uniform scale set's machine is ``<scale set>/virtualMachines/<index>``; the lab
keeps each machine under that id, with everything that survives its container in ``private``.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.network.virtual_networks import usable_addresses

INSTANCE = "azure-native:compute:VirtualMachineScaleSetVM"

RUNNING = "running"
STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One machine.

    ``profile`` and ``identities`` are those of the model it was made from (without the custom
    data), which in manual upgrade mode may be older than the scale set's.
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
        """What the metadata service calls the machine: ``core_0``."""
        return f"{self.scale_set.rsplit('/', 1)[-1]}_{self.index}"

    @property
    def is_running(self) -> bool:
        return self.power == RUNNING

    def powered(self, power: str) -> "Instance":
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
        return Resource(id=self.id, token=INSTANCE, inputs=inputs, outputs=outputs, private=private)


def instance_of(resource: Resource) -> Instance:
    fields = {**resource.private, "identities": tuple(resource.private["identities"])}
    return Instance(**fields)


def instances(store: Store, scale_set: str = "") -> Iterator[Instance]:
    """The machines of one scale set (or all of them), in the order of their index."""
    prefix = f"{scale_set}/virtualMachines/" if scale_set else ""
    found = [instance_of(resource) for resource in store.list(INSTANCE, prefix)]
    return iter(sorted(found, key=lambda instance: (instance.scale_set, instance.index)))


def free_addresses(store: Store, subnet: Resource) -> Iterator[str]:
    """The addresses that a new machine in the subnet may get, lowest first."""
    taken = {instance.address for instance in instances(store)}
    return (address for address in usable_addresses(subnet) if address not in taken)


def network_interface(instance: Instance) -> JsonObject:
    """The machine's only interface, as its model configures it."""
    interfaces: list[JsonObject] = instance.profile["networkProfile"][
        "networkInterfaceConfigurations"
    ]
    return interfaces[0]


def backend_pools(instance: Instance) -> tuple[str, ...]:
    """Ids of the load balancer pools the machine belongs to."""
    configuration = network_interface(instance)["ipConfigurations"][0]
    pools = configuration.get("loadBalancerBackendAddressPools") or []
    return tuple(pool["id"] for pool in pools)


def security_groups(store: Store, instance: Instance) -> tuple[str, ...]:
    """Ids of the network security groups a packet to the machine must pass: subnet, interface."""
    subnet = store.get(instance.subnet)
    of_subnet = subnet.inputs.get("networkSecurityGroup") if subnet else None
    of_interface = network_interface(instance).get("networkSecurityGroup")
    return tuple(group["id"] for group in (of_subnet, of_interface) if group)
