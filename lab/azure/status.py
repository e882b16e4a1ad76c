"""What the simulated Azure has right now, for people and tests to look at."""

import json
from pathlib import Path
from typing import Any

from lab.azure.arm.resource_groups import RESOURCE_GROUP
from lab.azure.arm.store import JsonObject, Store
from lab.azure.compute.scale_sets import is_current
from lab.azure.compute.vm_records import Instance, instances
from lab.azure.keyvault.resource_types import VAULT
from lab.azure.network.resource_types import LOAD_BALANCER, PUBLIC_ADDRESS
from lab.azure.storage.resource_types import ACCOUNT


class Status:
    """``probes`` is the file in which the load balancer's process reports what it finds."""

    def __init__(self, store: Store, probes: Path) -> None:
        self._store = store
        self._probes = probes

    def now(self) -> JsonObject:
        store = self._store
        return {
            "groups": [group.id for group in store.list(RESOURCE_GROUP)],
            "instances": [self._instance(instance) for instance in instances(store)],
            "loadBalancers": [balancer.id for balancer in store.list(LOAD_BALANCER)],
            "probes": self._probe_states(),
            "publicIps": [
                {
                    "id": address.id,
                    "ip": address.outputs["ipAddress"],
                    "fqdn": (address.outputs.get("dnsSettings") or {}).get("fqdn"),
                }
                for address in store.list(PUBLIC_ADDRESS)
            ],
            "accounts": [account.name for account in store.list(ACCOUNT)],
            "vaults": [vault.name for vault in store.list(VAULT)],
        }

    def _instance(self, instance: Instance) -> JsonObject:
        scale_set = self._store.get(instance.scale_set)
        current = scale_set is not None and is_current(scale_set, instance)
        return {
            "id": instance.id,
            "name": instance.name,
            "node": node_name(instance),
            "computerName": instance.computer_name,
            "container": instance.container,
            "scaleSet": instance.scale_set,
            "ip": instance.address,
            "zone": instance.zone,
            "power": instance.power,
            "model": "current" if current else "old",
        }

    def _probe_states(self) -> Any:
        if not self._probes.exists():
            return {}
        return json.loads(self._probes.read_text())


def node_name(instance: Instance) -> str:
    """What the cluster calls the machine: ``core-0`` for the computer ``core000000``."""
    # Azure appends six digits to the prefix.
    return f"{instance.computer_name[:-6]}-{instance.index}"
