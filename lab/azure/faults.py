"""Faults on demand: machines that die, lose the network or crawl, services that go away."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lab.azure.arm.errors import AzureError
from lab.azure.arm.store import JsonObject, Store
from lab.azure.compute.scale_sets import ScaleSetKind
from lab.azure.compute.vm_lifecycle import Nodes
from lab.azure.compute.vm_records import Instance, instances
from lab.azure.outages import Faults, Service
from lab.azure.status import node_name

_SERVICES: Mapping[str, Service] = {"blob": "blob", "vault": "vault", "metadata": "metadata"}

# A table of its own, so that healing takes away exactly what the fault added.
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

# Token bucket: kernels without netem have it, too. What doesn't fit in 400 ms is dropped.
_SLOW = "tc qdisc replace dev eth0 root tbf rate {rate} burst 16kb latency 400ms"
_DEFAULT_RATE = "256kbit"

_HEAL = "nft delete table inet partition; tc qdisc del dev eth0 root; true"


class FaultInjection:
    def __init__(
        self, store: Store, nodes: Nodes, scale_sets: ScaleSetKind, services: Faults
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._services = services
        self._machine_faults: Mapping[str, Callable[[Instance], Awaitable[None]]] = {
            "kill": lambda instance: nodes.stop(instance, grace=0),
            "stop": nodes.stop,
            "start": nodes.start,
            "restart": nodes.restart,
            "reimage": scale_sets.reimage,
        }

    async def inject(self, order: JsonObject) -> JsonObject:
        """``{"kind": "kill", "target": "core-0"}``; returns what was hit.

        ``stack`` narrows the search for the target; ``from`` (of a partition) are the machines it
        is cut off from, by default everybody; ``rate`` (of a slow machine) is its bandwidth,
        ``seconds`` (of a slow service) the delay of its answers.
        """
        kind, target = str(order.get("kind")), str(order.get("target") or "")
        name, _, state = kind.rpartition("-")
        if state in ("down", "up") and name in _SERVICES:
            self._switch(_SERVICES[name], down=state == "down")
            return {"kind": kind, "target": name}
        if target in _SERVICES and kind in ("slow", "heal"):
            self._delay(_SERVICES[target], order.get("seconds", 1.0) if kind == "slow" else 0.0)
            return {"kind": kind, "target": target}
        instance = self._find(order, target)
        if kind in self._machine_faults:
            await self._machine_faults[kind](instance)
        else:
            await self._nodes.run(instance, "/bin/sh", "-c", self._script(kind, order))
        return {"kind": kind, "target": instance.name, "container": instance.container}

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

    def _find(self, order: JsonObject, target: str) -> Instance:
        """A machine by any of its names."""
        group = f"/resourcegroups/fleet-{order['stack']}/".lower() if order.get("stack") else ""
        everywhere = [each for each in instances(self._store) if group in each.id.lower()]
        found = [each for each in everywhere if target in _names(each)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(node_name(each) for each in everywhere) or "there are none"
        message = f"'{target}' names {len(found)} machines, not one. Machines: {known}."
        raise AzureError("MachineNotFound", message, 404)


def _names(instance: Instance) -> tuple[Any, ...]:
    return (
        node_name(instance),
        instance.name,
        instance.computer_name,
        instance.container,
        instance.address,
    )


def _partition(peers: list[str]) -> str:
    if not peers:
        incoming, outgoing = 'iifname "eth0"', 'oifname "eth0"'
    else:
        listed = "{ " + ", ".join(peers) + " }"
        incoming, outgoing = f"ip saddr {listed}", f"ip daddr {listed}"
    both = f"{incoming} drop; {outgoing} drop;"
    return _PARTITION.format(incoming=incoming, outgoing=outgoing, both=both)
