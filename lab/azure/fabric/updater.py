"""Brings changes of resources into effect on traffic: orders for the load balancer, packet filters.

Also gives this process the two addresses by which every Azure machine reaches the platform.
"""

import asyncio
import logging
from pathlib import Path

from lab.azure.arm.store import Change, Store
from lab.azure.compute.resource_types import SCALE_SET
from lab.azure.compute.vm_records import INSTANCE, Instance, instances
from lab.azure.fabric.traffic import configuration, packet_filter
from lab.azure.host.interface import Host
from lab.azure.load_balancer import config
from lab.azure.network.resource_types import (
    LOAD_BALANCER,
    NAT_GATEWAY,
    PUBLIC_ADDRESS,
    SECURITY_GROUP,
    SUBNET,
    VIRTUAL_NETWORK,
)
from lab.azure.platform_addresses import METADATA, PLATFORM

LOG = logging.getLogger(__name__)

_FILTER_FILE = "/var/lib/lab-provisioning/filter.nft"
_RETRY_SECONDS = 1.0

_TRAFFIC = frozenset(
    {
        INSTANCE,
        LOAD_BALANCER,
        NAT_GATEWAY,
        PUBLIC_ADDRESS,
        SCALE_SET,
        SECURITY_GROUP,
        SUBNET,
        VIRTUAL_NETWORK,
    }
)


class Fabric:
    def __init__(self, store: Store, host: Host, *, balancer: Path) -> None:
        self._store = store
        self._host = host
        self._balancer = balancer
        self._applied: dict[str, str] = {}
        self._dirty = asyncio.Event()

    def start(self) -> None:
        """From now on, every change takes effect."""
        self._store.on_change(self._changed)
        config.dump(configuration(self._store), self._balancer)
        self._dirty.set()

    async def started(self, instance: Instance) -> None:
        """A machine that starts has no packet filter yet, whatever it had before."""
        self._applied.pop(instance.id, None)
        await self._filter(instance)

    async def keep_filtered(self) -> None:
        """Runs for ever: brings changed rules into the machines they are for."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            for instance in instances(self._store):
                if instance.is_running and instance.id in self._applied:
                    await self._filter_again(instance)

    def _changed(self, change: Change) -> None:
        if change.resource.token not in _TRAFFIC:
            return
        config.dump(configuration(self._store), self._balancer)
        if change.after is None:
            self._applied.pop(change.resource.id, None)
        self._dirty.set()

    async def _filter_again(self, instance: Instance) -> None:
        try:
            await self._filter(instance)
        except Exception as error:
            # It may be on its way down; then it gets its filter when it starts.
            LOG.warning("could not filter the traffic of %s yet: %s", instance.name, error)
            await asyncio.sleep(_RETRY_SECONDS)
            self._dirty.set()

    async def _filter(self, instance: Instance) -> None:
        wanted = packet_filter(self._store, instance)
        if self._applied.get(instance.id) == wanted:
            return
        await self._host.write_files(instance.container, {_FILTER_FILE: wanted.encode()})
        finished = await self._host.run(instance.container, ("nft", "-f", _FILTER_FILE))
        if finished.code != 0:
            raise RuntimeError(f"nft in {instance.name}: {finished.output}")
        self._applied[instance.id] = wanted


async def own_platform_addresses() -> None:
    """Adds the platform's addresses to this process's network namespace.

    On the loopback interface, so that they outlive every bridge; Linux answers for an address of
    any interface on all of them (arp_ignore is 0), so machines find it on their own link.
    """
    for address in (METADATA, PLATFORM):
        command = ("ip", "address", "replace", f"{address}/32", "dev", "lo")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        if process.returncode != 0:
            text = output.decode(errors="replace").strip()
            raise RuntimeError(f"{' '.join(command)}: {text} (this needs NET_ADMIN)")
