"""The machines of scale sets: made, started, stopped, reimaged, brought back.

A machine's record is written before its container is made, and removed after it: whatever is
interrupted, ``heal`` finds the difference and puts it right. What a machine is made of comes from
its scale set (compute.py); this module knows no rule of Azure's.
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
from lab.azure.compute.provisioning import PROVISIONED, machine
from lab.azure.compute.vm_records import RUNNING, STOPPED, Instance, instance_of, instances
from lab.azure.host.interface import Host, MachineState

LOG = logging.getLogger(__name__)

PROVISIONING_SECONDS = 180.0
POLL_SECONDS = 0.25
HEAL_SECONDS = 2.0
SHUTDOWN_SECONDS = 20
"""What a machine gets to shut down in order before the plug is pulled."""

_MACHINES = re.compile(r"/virtualMachineScaleSets/[^/]+/virtualMachines/\d+$", re.IGNORECASE)


Remake = Callable[[Instance], Awaitable[None]]


class Nodes:
    """``on_start`` is told of every machine that was (re)started, to set up its packet filter."""

    def __init__(
        self,
        store: Store,
        host: Host,
        *,
        authority: Path,
        on_start: Callable[[Instance], Awaitable[None]],
    ) -> None:
        self._store = store
        self._host = host
        self._authority = authority
        self._on_start = on_start
        self._making: set[str] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def record(self, instance: Instance) -> None:
        self._store.put(instance.as_resource())

    async def provision(self, made: Iterable[Instance], custom_data: str) -> None:
        """Makes and starts machines, all at once; returns when Azure would call them provisioned.

        If one fails, those that were to be made are removed again, and an AzureError says why.
        """
        wanted = list(made)
        # At once, so that nobody else takes their addresses.
        for instance in wanted:
            self.record(instance)
            self._making.add(instance.id)
        try:
            results = await asyncio.gather(
                *(self._provision(instance, custom_data) for instance in wanted),
                return_exceptions=True,
            )
        finally:
            self._making.difference_update(instance.id for instance in wanted)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self.retire(wanted)
            raise failures[0]

    async def retire(self, unwanted: Iterable[Instance], *, grace: int = 0) -> None:
        """Deletes machines with their disks."""
        await asyncio.gather(*(self._retire(instance, grace) for instance in unwanted))

    async def reimage(self, instance: Instance, renewed: Instance, custom_data: str) -> None:
        """A fresh system disk made from the current model; the data disks stay."""
        async with self._locks[instance.id]:
            await self._host.stop_machine(instance.container, grace=SHUTDOWN_SECONDS)
            await self._host.remove_machine(instance.container, keep_disks=True)
            self.record(replace(renewed, power=RUNNING))
            await self._make(renewed, custom_data)

    async def start(self, instance: Instance) -> None:
        async with self._locks[instance.id]:
            self.record(instance.powered(RUNNING))
            await self._host.start_machine(instance.container)
            await self._on_start(instance)

    async def stop(self, instance: Instance, *, grace: int = SHUTDOWN_SECONDS) -> None:
        """Switches off: in order, or (``grace`` 0) as by a power cut. It stays off."""
        async with self._locks[instance.id]:
            self.record(instance.powered(STOPPED))
            await self._host.stop_machine(instance.container, grace=grace)

    async def restart(self, instance: Instance) -> None:
        await self.stop(instance)
        await self.start(instance)

    async def run(self, instance: Instance, *command: str) -> str:
        """Runs a command in the machine, as its fabric agent would. Raises if it fails."""
        finished = await self._host.run(instance.container, command)
        if finished.code != 0:
            message = f"{' '.join(command)} in {instance.name}: {finished.output.strip()}"
            raise AzureError("MachineCommandFailed", message, 409)
        return finished.output

    async def heal(self, remake: Remake) -> None:
        """Makes what runs equal to what is recorded: after a crash, a reboot, an interruption.

        ``remake`` is for a machine whose container is gone.
        """
        states = {state.name: state for state in await self._host.machines()}
        recorded = {instance.container for instance in instances(self._store)}
        for name, found in states.items():
            unknown = name not in recorded and _MACHINES.search(found.resource_id)
            # The record may be younger than the list of containers.
            if unknown and self._store.get(found.resource_id) is None:
                LOG.warning("removing %s, which no record knows", name)
                await self._host.remove_machine(name, keep_disks=False)
        for instance in instances(self._store):
            if self._is_busy(instance):
                continue
            if self._store.get(instance.scale_set) is None:
                LOG.warning("removing %s, whose scale set was never finished", instance.name)
                await self.retire([instance])
            elif instance.is_running:
                await self._bring_back(instance, states.get(instance.container), remake)

    async def keep_healed(self, remake: Remake) -> None:
        """Runs for ever. A machine that ends without being told to is started again.

        This includes one that switched itself off: from here it can't be told from one that
        the Docker daemon stopped because the laptop was shut down.
        """
        while True:
            try:
                await self.heal(remake)
            except Exception:
                LOG.exception("could not look after the machines; trying again")
            await asyncio.sleep(HEAL_SECONDS)

    def _is_busy(self, instance: Instance) -> bool:
        return instance.id in self._making or self._locks[instance.id].locked()

    async def _bring_back(
        self, instance: Instance, state: MachineState | None, remake: Remake
    ) -> None:
        if state is not None and state.running:
            return
        try:
            if state is None:
                LOG.warning("making %s anew: its container is gone", instance.name)
                await remake(instance)
            else:
                LOG.warning("starting %s: %s", instance.name, state.status)
                await self.start(instance)
        except Exception:
            # The others must not wait for it.
            LOG.exception("could not bring %s back; trying again", instance.name)

    async def _provision(self, instance: Instance, custom_data: str) -> None:
        async with self._locks[instance.id]:
            # Whatever is left under this name belonged to a machine that nobody remembers.
            await self._host.remove_machine(instance.container, keep_disks=False)
            await self._make(instance, custom_data)

    async def _make(self, instance: Instance, custom_data: str) -> None:
        authority = self._authority.read_bytes()
        await self._host.create_machine(machine(instance, custom_data, authority))
        await self._host.start_machine(instance.container)
        await self._on_start(instance)
        await self._wait_until_provisioned(instance)

    async def _wait_until_provisioned(self, instance: Instance) -> None:
        deadline = asyncio.get_running_loop().time() + PROVISIONING_SECONDS
        while (await self._host.run(instance.container, ("test", "-e", PROVISIONED))).code != 0:
            if asyncio.get_running_loop().time() > deadline:
                log = await self._host.run(
                    instance.container, ("journalctl", "--no-pager", "-n", "20")
                )
                message = (
                    f"OS Provisioning for VM '{instance.name}' did not finish in the allotted "
                    f"time. Its last lines:\n{log.output}"
                )
                raise AzureError("OSProvisioningTimedOut", message, 409)
            await asyncio.sleep(POLL_SECONDS)

    async def _retire(self, instance: Instance, grace: int) -> None:
        async with self._locks[instance.id]:
            current = self._store.get(instance.id)
            if current is not None:
                self.record(instance_of(current).powered(STOPPED))
            if grace:
                await self._host.stop_machine(instance.container, grace=grace)
            await self._host.remove_machine(instance.container, keep_disks=False)
            self._store.delete(instance.id)
