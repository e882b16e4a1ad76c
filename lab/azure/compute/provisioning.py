"""What Azure puts on a VM's provisioning disk, as files in the VM. Pure."""

import hashlib
import json

from lab.azure.arm.store import JsonObject
from lab.azure.compute.vm_records import Vm
from lab.azure.host.interface import Disk, VmContainer
from lab.azure.network.virtual_networks import network_name

PROVISIONING = "/var/lib/lab-provisioning"
AUTHORITY = "/usr/local/share/ca-certificates/lab.crt"

# waagent writes it after it has set up the host name, the user, the keys and the custom data.
PROVISIONED = "/var/lib/waagent/provisioned"


def vm_container(vm: Vm, custom_data: str, authority: bytes) -> VmContainer:
    """The container that the host creates for the VM."""
    network = vm.subnet.rsplit("/subnets/", 1)[0]
    return VmContainer(
        name=vm.container,
        resource_id=vm.id,
        host_name=vm.computer_name,
        network=network_name(network),
        address=vm.address,
        disks=_disks(vm.profile),
        files={
            f"{PROVISIONING}/ovf.json": _environment(vm),
            f"{PROVISIONING}/CustomData": custom_data.encode(),
            # The VM must trust the lab's storage and vault as it trusts Azure's.
            AUTHORITY: authority,
        },
    )


def model_version(profile: JsonObject, custom_data: str, identities: tuple[str, ...]) -> str:
    """A name for what a VM is made of. A VM with another version is on an old model."""
    made_of = json.dumps([profile, custom_data, identities], sort_keys=True)
    return hashlib.sha256(made_of.encode()).hexdigest()[:12]


def _environment(vm: Vm) -> bytes:
    profile = vm.profile["osProfile"]
    keys = ((profile.get("linuxConfiguration") or {}).get("ssh") or {}).get("publicKeys") or []
    return json.dumps(
        {
            "computerName": vm.computer_name,
            "adminUsername": profile["adminUsername"],
            "sshPublicKeys": [key["keyData"] for key in keys],
            "privateIp": vm.address,
        }
    ).encode()


def _disks(profile: JsonObject) -> tuple[Disk, ...]:
    disks = profile["storageProfile"].get("dataDisks") or []
    return tuple(Disk(lun=int(disk["lun"]), gigabytes=int(disk["diskSizeGB"])) for disk in disks)
