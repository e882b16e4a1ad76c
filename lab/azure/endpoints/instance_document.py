"""What the metadata service tells a machine about itself, in Azure's structure. Pure.

Only what the lab knows is in it; a machine that asks for more gets a 404, not an invention.
"""

from ipaddress import IPv4Network
from typing import Any

from lab.azure.arm.store import JsonObject, Store
from lab.azure.compute.vm_records import Instance


def document(instance: Instance, store: Store) -> JsonObject:
    """The answer to ``/metadata/instance``."""
    return {"compute": _compute(instance, store), "network": _network(instance, store)}


def leaf(tree: JsonObject, path: str) -> Any:
    """The value at ``/network/interface/0/…``, None if there is none."""
    value: Any = tree
    for name in filter(None, path.split("/")):
        if isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value


def _compute(instance: Instance, store: Store) -> JsonObject:
    parts = instance.id.split("/")
    image = instance.profile.get("storageProfile", {}).get("imageReference", {})
    os_profile = instance.profile.get("osProfile", {})
    scale_set = store.get(instance.scale_set)
    tags = (scale_set.inputs.get("tags") or {}) if scale_set else {}
    sku = (scale_set.inputs.get("sku") or {}) if scale_set else {}
    return {
        "azEnvironment": "AzurePublicCloud",
        "location": instance.location,
        "name": instance.name,
        "offer": image.get("offer", ""),
        "osProfile": {
            "adminUsername": os_profile.get("adminUsername", ""),
            "computerName": instance.computer_name,
            "disablePasswordAuthentication": "true",
        },
        "osType": "Linux",
        "provider": "Microsoft.Compute",
        "publisher": image.get("publisher", ""),
        "resourceGroupName": parts[4],
        "resourceId": instance.id,
        "sku": image.get("sku", ""),
        "subscriptionId": parts[2],
        "tags": ";".join(f"{key}:{value}" for key, value in sorted(tags.items())),
        "tagsList": [{"name": key, "value": value} for key, value in sorted(tags.items())],
        "userData": instance.profile.get("userData", ""),
        "version": image.get("version", ""),
        "vmId": instance.vm_id,
        "vmScaleSetName": instance.scale_set.rsplit("/", 1)[-1],
        "vmSize": sku.get("name", ""),
        "zone": instance.zone or "",
    }


def _network(instance: Instance, store: Store) -> JsonObject:
    subnet = store.get(instance.subnet)
    prefixes = _prefixes(subnet.inputs) if subnet else []
    address = {"privateIpAddress": instance.address, "publicIpAddress": ""}
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
