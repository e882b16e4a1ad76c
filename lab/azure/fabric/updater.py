"""Applies changes of resources to traffic: the load balancer's configuration, VMs' packet filters.

It also gives this process the two addresses at which every VM reaches Azure.
"""

import asyncio
import logging
from pathlib import Path

from lab.azure.arm.store import Change, Store
from lab.azure.compute.resource_types import SCALE_SET
from lab.azure.compute.vm_records import VM, Vm, vms
from lab.azure.fabric.traffic import configuration, packet_filter
from lab.azure.host.interface import Host
from lab.azure.host.platform_addresses import METADATA, PLATFORM
from lab.azure.load_balancer import config
from lab.azure.network.resource_types import (
    LOAD_BALANCER,
    NAT_GATEWAY,
    PUBLIC_ADDRESS,
    SECURITY_GROUP,
    SUBNET,
    VIRTUAL_NETWORK,
)

LOG = logging.getLogger(__name__)

_FILTER_FILE = "/var/lib/lab-provisioning/filter.nft"
_RETRY_SECONDS = 1.0

_TRAFFIC = frozenset(
    {
        VM,
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
        """Applies the current resources, and every change from now on."""
        self._store.on_change(self._changed)
        config.dump(configuration(self._store), self._balancer)
        self._dirty.set()

    async def started(self, vm: Vm) -> None:
        """Loads the packet filter of a VM that has just started."""
        self._applied.pop(vm.id, None)
        await self._filter(vm)

    async def keep_filtered(self) -> None:
        """Runs forever: loads changed rules into the VMs that they concern."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            for vm in vms(self._store):
                if vm.is_running and vm.id in self._applied:
                    await self._filter_again(vm)

    def _changed(self, change: Change) -> None:
        if change.resource.token not in _TRAFFIC:
            return
        config.dump(configuration(self._store), self._balancer)
        if change.after is None:
            self._applied.pop(change.resource.id, None)
        self._dirty.set()

    async def _filter_again(self, vm: Vm) -> None:
        try:
            await self._filter(vm)
        except Exception as error:
            # A VM that is shutting down gets its filter at its next start.
            LOG.warning("could not filter the traffic of %s yet: %s", vm.name, error)
            await asyncio.sleep(_RETRY_SECONDS)
            self._dirty.set()

    async def _filter(self, vm: Vm) -> None:
        wanted = packet_filter(self._store, vm)
        if self._applied.get(vm.id) == wanted:
            return
        await self._host.write_files(vm.container, {_FILTER_FILE: wanted.encode()})
        finished = await self._host.run(vm.container, ("nft", "-f", _FILTER_FILE))
        if finished.code != 0:
            raise RuntimeError(f"nft in {vm.name}: {finished.output}")
        self._applied[vm.id] = wanted


async def own_platform_addresses() -> None:
    """Adds the platform's addresses to this process's network namespace.

    They are on the loopback interface, so that they outlive every bridge. Linux answers ARP for an
    address on all interfaces (arp_ignore is 0), so VMs find it on their own link.
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
