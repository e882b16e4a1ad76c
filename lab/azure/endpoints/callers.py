"""The sender of a request, found by its source address: a VM or the developer.

Azure's metadata service and network rules identify callers by address; so does the lab.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from lab.azure.arm.store import Store
from lab.azure.compute.vm_records import Vm, vms

LOG = logging.getLogger(__name__)

DEVELOPER_LABEL = "fleet-azure.lab.identity=deployer"
"""The label of containers in the lab's own network that act as the deployer."""


class Callers(Protocol):
    """Finds the sender of a request by its source address."""

    def vm_at(self, address: str) -> Vm | None: ...

    async def is_developer(self, address: str) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class LabCallers:
    """Finds VMs in the store and developers' containers through Docker's API."""

    store: Store
    docker_socket: str = "/var/run/docker.sock"
    network: str = "fleet-lab"

    def vm_at(self, address: str) -> Vm | None:
        found = (one for one in vms(self.store) if one.address == address)
        return next((one for one in found if one.is_running), None)

    async def is_developer(self, address: str) -> bool:
        """Asks Docker each time, because containers come and go. Tokens last a day."""
        filters = f'{{"label":["{DEVELOPER_LABEL}"],"network":["{self.network}"]}}'
        connector = aiohttp.UnixConnector(path=self.docker_socket)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://docker/containers/json", params={"filters": filters}) as response,
        ):
            response.raise_for_status()
            containers = await response.json()
        networks = (one["NetworkSettings"]["Networks"] for one in containers)
        return any(address == one[self.network]["IPAddress"] for one in networks)
