"""The metadata service's description of a VM, in Azure's structure. Pure.

It contains only what the lab models; for anything else the service answers 404.
"""

from ipaddress import IPv4Network
from typing import Any

from lab.azure.arm.store import JsonObject, Store
from lab.azure.compute.vm_records import Vm


def document(vm: Vm, store: Store) -> JsonObject:
    """The answer to ``/metadata/instance``."""
    return {"compute": _compute(vm, store), "network": _network(vm, store)}


def leaf(tree: JsonObject, path: str) -> Any:
    """The value at a path such as ``/network/interface/0/…``; None if there is none."""
    value: Any = tree
    for name in filter(None, path.split("/")):
        if isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value


def _compute(vm: Vm, store: Store) -> JsonObject:
    parts = vm.id.split("/")
    image = vm.profile.get("storageProfile", {}).get("imageReference", {})
    os_profile = vm.profile.get("osProfile", {})
    scale_set = store.get(vm.scale_set)
    tags = (scale_set.inputs.get("tags") or {}) if scale_set else {}
    sku = (scale_set.inputs.get("sku") or {}) if scale_set else {}
    return {
        "azEnvironment": "AzurePublicCloud",
        "location": vm.location,
        "name": vm.name,
        "offer": image.get("offer", ""),
        "osProfile": {
            "adminUsername": os_profile.get("adminUsername", ""),
            "computerName": vm.computer_name,
            "disablePasswordAuthentication": "true",
        },
        "osType": "Linux",
        "provider": "Microsoft.Compute",
        "publisher": image.get("publisher", ""),
        "resourceGroupName": parts[4],
        "resourceId": vm.id,
        "sku": image.get("sku", ""),
        "subscriptionId": parts[2],
        "tags": ";".join(f"{key}:{value}" for key, value in sorted(tags.items())),
        "tagsList": [{"name": key, "value": value} for key, value in sorted(tags.items())],
        "userData": vm.profile.get("userData", ""),
        "version": image.get("version", ""),
        "vmId": vm.vm_id,
        "vmScaleSetName": vm.scale_set.rsplit("/", 1)[-1],
        "vmSize": sku.get("name", ""),
        "zone": vm.zone or "",
    }


def _network(vm: Vm, store: Store) -> JsonObject:
    subnet = store.get(vm.subnet)
    prefixes = _prefixes(subnet.inputs) if subnet else []
    address = {"privateIpAddress": vm.address, "publicIpAddress": ""}
    return {
        "interface": [
            {
                "ipv4": {
                    "ipAddress": [address],
                    "subnet": [
                        {"address": str(prefix.network_address), "prefix": str(prefix.prefixlen)}
                        for prefix in prefixes
                    ],
                },
                "ipv6": {"ipAddress": []},
            }
        ]
    }


def _prefixes(subnet: JsonObject) -> list[IPv4Network]:
    single, several = subnet.get("addressPrefix"), subnet.get("addressPrefixes") or []
    return [IPv4Network(each) for each in ([single] if single else several)]
