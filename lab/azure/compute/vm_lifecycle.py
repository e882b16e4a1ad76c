"""Creates, starts, stops, reimages and heals the VMs of scale sets.

A VM's record is written before its container is created, and removed after it. So after any
interruption, ``heal`` finds the difference and removes it. The scale set decides what a VM is made
of; this module applies no rule of Azure's.
"""

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

from lab.azure.arm.errors import AzureError
from lab.azure.arm.store import Store
from lab.azure.compute.provisioning import PROVISIONED, vm_container
from lab.azure.compute.vm_records import RUNNING, STOPPED, Vm, vm_of, vms
from lab.azure.host.interface import Host, VmState

LOG = logging.getLogger(__name__)

PROVISIONING_SECONDS = 180.0
POLL_SECONDS = 0.25
HEAL_SECONDS = 2.0
SHUTDOWN_SECONDS = 20
"""What a VM gets for an orderly shutdown before it is killed."""

_VM_ID = re.compile(r"/virtualMachineScaleSets/[^/]+/virtualMachines/\d+$", re.IGNORECASE)


Remake = Callable[[Vm], Awaitable[None]]


class VmLifecycle:
    """``on_start`` is called after each start of a VM, to set up its packet filter."""

    def __init__(
        self,
        store: Store,
        host: Host,
        *,
        authority: Path,
        on_start: Callable[[Vm], Awaitable[None]],
    ) -> None:
        self._store = store
        self._host = host
        self._authority = authority
        self._on_start = on_start
        self._making: set[str] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def record(self, vm: Vm) -> None:
        self._store.put(vm.as_resource())

    async def provision(self, made: Iterable[Vm], custom_data: str) -> None:
        """Creates and starts VMs in parallel; returns when Azure would call them provisioned.

        If one fails, all of them are removed and its AzureError is raised.
        """
        wanted = list(made)
        # All records first, so that no other VM gets their addresses.
        for vm in wanted:
            self.record(vm)
            self._making.add(vm.id)
        try:
            results = await asyncio.gather(
                *(self._provision(vm, custom_data) for vm in wanted),
                return_exceptions=True,
            )
        finally:
            self._making.difference_update(vm.id for vm in wanted)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self.retire(wanted)
            raise failures[0]

    async def retire(self, unwanted: Iterable[Vm], *, grace: int = 0) -> None:
        """Deletes VMs with their disks."""
        await asyncio.gather(*(self._retire(vm, grace) for vm in unwanted))

    async def reimage(self, vm: Vm, renewed: Vm, custom_data: str) -> None:
        """Creates the VM again from ``renewed``, with its data disks."""
        async with self._locks[vm.id]:
            await self._host.stop_vm(vm.container, grace=SHUTDOWN_SECONDS)
            await self._host.remove_vm(vm.container, keep_disks=True)
            self.record(replace(renewed, power=RUNNING))
            await self._make(renewed, custom_data)

    async def start(self, vm: Vm) -> None:
        async with self._locks[vm.id]:
            self.record(vm.powered(RUNNING))
            await self._host.start_vm(vm.container)
            await self._on_start(vm)

    async def stop(self, vm: Vm, *, grace: int = SHUTDOWN_SECONDS) -> None:
        """Shuts down, or with ``grace`` 0 kills as a power cut would. The VM stays off."""
        async with self._locks[vm.id]:
            self.record(vm.powered(STOPPED))
            await self._host.stop_vm(vm.container, grace=grace)

    async def restart(self, vm: Vm) -> None:
        await self.stop(vm)
        await self.start(vm)

    async def run(self, vm: Vm, *command: str) -> str:
        """Runs a command in the VM. Raises AzureError if it fails."""
        finished = await self._host.run(vm.container, command)
        if finished.code != 0:
            message = f"{' '.join(command)} in {vm.name}: {finished.output.strip()}"
            raise AzureError("VmCommandFailed", message, 409)
        return finished.output

    async def heal(self, remake: Remake) -> None:
        """Makes the containers match the records, after a crash, a reboot or an interruption.

        ``remake`` is called for a VM whose container is missing.
        """
        states = {state.name: state for state in await self._host.vms()}
        recorded = {vm.container for vm in vms(self._store)}
        for name, found in states.items():
            unknown = name not in recorded and _VM_ID.search(found.resource_id)
            # The record may be younger than the list of containers.
            if unknown and self._store.get(found.resource_id) is None:
                LOG.warning("removing %s, which has no record", name)
                await self._host.remove_vm(name, keep_disks=False)
        for vm in vms(self._store):
            if self._is_busy(vm):
                continue
            if self._store.get(vm.scale_set) is None:
                LOG.warning("removing %s, whose scale set does not exist", vm.name)
                await self.retire([vm])
            elif vm.is_running:
                await self._restore(vm, states.get(vm.container), remake)

    async def keep_healed(self, remake: Remake) -> None:
        """Runs forever. Starts a VM again when it ends without a call of ``stop``.

        This includes a VM that shut down from the inside: it looks the same as one that the Docker
        daemon stopped because the laptop shut down.
        """
        while True:
            try:
                await self.heal(remake)
            except Exception:
                LOG.exception("could not heal the VMs; trying again")
            await asyncio.sleep(HEAL_SECONDS)

    def _is_busy(self, vm: Vm) -> bool:
        return vm.id in self._making or self._locks[vm.id].locked()

    async def _restore(self, vm: Vm, state: VmState | None, remake: Remake) -> None:
        if state is not None and state.running:
            return
        try:
            if state is None:
                LOG.warning("creating %s again: its container is missing", vm.name)
                await remake(vm)
            else:
                LOG.warning("starting %s: %s", vm.name, state.status)
                await self.start(vm)
        except Exception:
            # The other VMs must not wait for it.
            LOG.exception("could not restore %s; trying again", vm.name)

    async def _provision(self, vm: Vm, custom_data: str) -> None:
        async with self._locks[vm.id]:
            # A container of this name belongs to a VM that no longer has a record.
            await self._host.remove_vm(vm.container, keep_disks=False)
            await self._make(vm, custom_data)

    async def _make(self, vm: Vm, custom_data: str) -> None:
        authority = self._authority.read_bytes()
        await self._host.create_vm(vm_container(vm, custom_data, authority))
        await self._host.start_vm(vm.container)
        await self._on_start(vm)
        await self._wait_until_provisioned(vm)

    async def _wait_until_provisioned(self, vm: Vm) -> None:
        deadline = asyncio.get_running_loop().time() + PROVISIONING_SECONDS
        while (await self._host.run(vm.container, ("test", "-e", PROVISIONED))).code != 0:
            if asyncio.get_running_loop().time() > deadline:
                log = await self._host.run(vm.container, ("journalctl", "--no-pager", "-n", "20"))
                message = (
                    f"OS Provisioning for VM '{vm.name}' did not finish in the allotted "
                    f"time. Its last lines:\n{log.output}"
                )
                raise AzureError("OSProvisioningTimedOut", message, 409)
            await asyncio.sleep(POLL_SECONDS)

    async def _retire(self, vm: Vm, grace: int) -> None:
        async with self._locks[vm.id]:
            current = self._store.get(vm.id)
            if current is not None:
                self.record(vm_of(current).powered(STOPPED))
            if grace:
                await self._host.stop_vm(vm.container, grace=grace)
            await self._host.remove_vm(vm.container, keep_disks=False)
            self._store.delete(vm.id)
