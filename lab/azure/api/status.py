"""What the simulated Azure has now, for `lab status` and tests."""

import json
from pathlib import Path
from typing import Any

from lab.azure.arm.resource_groups import RESOURCE_GROUP
from lab.azure.arm.store import JsonObject, Store
from lab.azure.compute.scale_sets import is_current
from lab.azure.compute.vm_records import Vm, vms
from lab.azure.keyvault.resource_types import VAULT
from lab.azure.network.resource_types import LOAD_BALANCER, PUBLIC_ADDRESS
from lab.azure.storage.resource_types import ACCOUNT


class Status:
    """``probes`` is the file in which the load balancer's process reports the VMs' health."""

    def __init__(self, store: Store, probes: Path) -> None:
        self._store = store
        self._probes = probes

    def now(self) -> JsonObject:
        store = self._store
        return {
            "groups": [group.id for group in store.list(RESOURCE_GROUP)],
            "vms": [self._vm(vm) for vm in vms(store)],
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

    def _vm(self, vm: Vm) -> JsonObject:
        scale_set = self._store.get(vm.scale_set)
        current = scale_set is not None and is_current(scale_set, vm)
        return {
            "id": vm.id,
            "name": vm.name,
            "node": node_name(vm),
            "computerName": vm.computer_name,
            "container": vm.container,
            "scaleSet": vm.scale_set,
            "ip": vm.address,
            "zone": vm.zone,
            "power": vm.power,
            "model": "current" if current else "old",
        }

    def _probe_states(self) -> Any:
        if not self._probes.exists():
            return {}
        return json.loads(self._probes.read_text())


def node_name(vm: Vm) -> str:
    """The VM's name in the cluster: ``core-0`` for the computer name ``core000000``."""
    # Azure appends six digits to the prefix.
    return f"{vm.computer_name[:-6]}-{vm.index}"
