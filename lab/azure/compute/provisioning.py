"""What Azure hands a machine on its provisioning disk, as files in the machine. Pure."""

import hashlib
import json

from lab.azure.arm.store import JsonObject
from lab.azure.compute.vm_records import Instance
from lab.azure.host.interface import Disk, Machine
from lab.azure.network.virtual_networks import network_name

PROVISIONING = "/var/lib/lab-provisioning"
AUTHORITY = "/usr/local/share/ca-certificates/lab.crt"

# waagent writes it when it has set up the host name, the user, the keys and the custom data.
PROVISIONED = "/var/lib/waagent/provisioned"


def machine(instance: Instance, custom_data: str, authority: bytes) -> Machine:
    """The machine as the host has to make it."""
    network = instance.subnet.rsplit("/subnets/", 1)[0]
    return Machine(
        name=instance.container,
        resource_id=instance.id,
        host_name=instance.computer_name,
        network=network_name(network),
        address=instance.address,
        disks=_disks(instance.profile),
        files={
            f"{PROVISIONING}/ovf.json": _environment(instance),
            f"{PROVISIONING}/CustomData": custom_data.encode(),
            # The machine must trust the lab's storage and vault as it trusts Azure's.
            AUTHORITY: authority,
        },
    )


def model_version(profile: JsonObject, custom_data: str, identities: tuple[str, ...]) -> str:
    """Names what a machine is made of; a machine with another version is on an old model."""
    made_of = json.dumps([profile, custom_data, identities], sort_keys=True)
    return hashlib.sha256(made_of.encode()).hexdigest()[:12]


def _environment(instance: Instance) -> bytes:
    profile = instance.profile["osProfile"]
    keys = ((profile.get("linuxConfiguration") or {}).get("ssh") or {}).get("publicKeys") or []
    return json.dumps(
        {
            "computerName": instance.computer_name,
            "adminUsername": profile["adminUsername"],
            "sshPublicKeys": [key["keyData"] for key in keys],
            "privateIp": instance.address,
        }
    ).encode()


def _disks(profile: JsonObject) -> tuple[Disk, ...]:
    disks = profile["storageProfile"].get("dataDisks") or []
    return tuple(Disk(lun=int(disk["lun"]), gigabytes=int(disk["diskSizeGB"])) for disk in disks)
