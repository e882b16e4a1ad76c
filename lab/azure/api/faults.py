"""Faults on demand: VMs that die, lose the network or slow down; services that fail."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lab.azure.api.status import node_name
from lab.azure.arm.errors import AzureError
from lab.azure.arm.store import JsonObject, Store
from lab.azure.compute.scale_sets import ScaleSetKind
from lab.azure.compute.vm_lifecycle import VmLifecycle
from lab.azure.compute.vm_records import Vm, vms
from lab.azure.network.outages import Faults, Service

_SERVICES: Mapping[str, Service] = {"blob": "blob", "vault": "vault", "metadata": "metadata"}

# In a table of its own, so that healing removes exactly what the fault added.
_PARTITION = """
nft -f - <<END
table inet partition
delete table inet partition
table inet partition {{
  chain in {{ type filter hook input priority -400; policy accept; {incoming} drop; }}
  chain through {{ type filter hook forward priority -400; policy accept; {both} }}
  chain out {{ type filter hook output priority -400; policy accept; {outgoing} drop; }}
}}
END
"""

# Token bucket, because some kernels lack netem. Packets delayed by more than 400 ms are dropped.
_SLOW = "tc qdisc replace dev eth0 root tbf rate {rate} burst 16kb latency 400ms"
_DEFAULT_RATE = "256kbit"

_HEAL = "nft delete table inet partition; tc qdisc del dev eth0 root; true"


class FaultInjection:
    def __init__(
        self, store: Store, lifecycle: VmLifecycle, scale_sets: ScaleSetKind, services: Faults
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._services = services
        self._vm_faults: Mapping[str, Callable[[Vm], Awaitable[None]]] = {
            "kill": lambda vm: lifecycle.stop(vm, grace=0),
            "stop": lifecycle.stop,
            "start": lifecycle.start,
            "restart": lifecycle.restart,
            "reimage": scale_sets.reimage,
        }

    async def inject(self, order: JsonObject) -> JsonObject:
        """``{"kind": "kill", "target": "core-0"}``; returns the VM or service that it changed.

        ``stack`` narrows the search for the target. ``from`` lists the VMs that a partition cuts
        the target off from (default: all). ``rate`` is the bandwidth of a slow VM, ``seconds``
        the delay of a slow service.
        """
        kind, target = str(order.get("kind")), str(order.get("target") or "")
        name, _, state = kind.rpartition("-")
        if state in ("down", "up") and name in _SERVICES:
            self._switch(_SERVICES[name], down=state == "down")
            return {"kind": kind, "target": name}
        if target in _SERVICES and kind in ("slow", "heal"):
            self._delay(_SERVICES[target], order.get("seconds", 1.0) if kind == "slow" else 0.0)
            return {"kind": kind, "target": target}
        vm = self._find(order, target)
        if kind in self._vm_faults:
            await self._vm_faults[kind](vm)
        else:
            await self._lifecycle.run(vm, "/bin/sh", "-c", self._script(kind, order))
        return {"kind": kind, "target": vm.name, "container": vm.container}

    def _script(self, kind: str, order: JsonObject) -> str:
        match kind:
            case "partition":
                peers = [self._find(order, name).address for name in order.get("from") or []]
                return _partition(peers)
            case "slow":
                return _SLOW.format(rate=order.get("rate", _DEFAULT_RATE))
            case "heal":
                return _HEAL
        raise AzureError("InvalidFault", f"There is no fault '{kind}'.")

    def _switch(self, service: Service, *, down: bool) -> None:
        if down:
            self._services.down.add(service)
        else:
            self._services.down.discard(service)

    def _delay(self, service: Service, seconds: float) -> None:
        if seconds:
            self._services.delay[service] = seconds
        else:
            self._services.delay.pop(service, None)

    def _find(self, order: JsonObject, target: str) -> Vm:
        """The VM with this node name, Azure name, computer name, container or address."""
        group = f"/resourcegroups/fleet-{order['stack']}/".lower() if order.get("stack") else ""
        everywhere = [each for each in vms(self._store) if group in each.id.lower()]
        found = [each for each in everywhere if target in _names(each)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(node_name(each) for each in everywhere) or "there are none"
        message = f"'{target}' names {len(found)} VMs, not one. VMs: {known}."
        raise AzureError("VmNotFound", message, 404)


def _names(vm: Vm) -> tuple[Any, ...]:
    return (
        node_name(vm),
        vm.name,
        vm.computer_name,
        vm.container,
        vm.address,
    )


def _partition(peers: list[str]) -> str:
    if not peers:
        incoming, outgoing = 'iifname "eth0"', 'oifname "eth0"'
    else:
        listed = "{ " + ", ".join(peers) + " }"
        incoming, outgoing = f"ip saddr {listed}", f"ip daddr {listed}"
    both = f"{incoming} drop; {outgoing} drop;"
    return _PARTITION.format(incoming=incoming, outgoing=outgoing, both=both)
