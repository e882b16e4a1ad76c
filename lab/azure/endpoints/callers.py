"""Who sends a request, told by the address it comes from: a machine, or the developer.

Azure's metadata service and its network rules know callers by where they are; so does the lab.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from lab.azure.arm.store import Store
from lab.azure.compute.vm_records import Instance, instances

LOG = logging.getLogger(__name__)

DEVELOPER_LABEL = "fleet-azure.lab.identity=deployer"
"""A container with this label on the lab's own network acts as the developer who deploys."""


class Callers(Protocol):
    """Finds the sender of a request by its source address."""

    def instance_at(self, address: str) -> Instance | None: ...

    async def is_developer(self, address: str) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class LabCallers:
    """The machines of the store, and labelled containers as docker's API lists them."""

    store: Store
    docker_socket: str = "/var/run/docker.sock"
    network: str = "fleet-lab"

    def instance_at(self, address: str) -> Instance | None:
        found = (one for one in instances(self.store) if one.address == address)
        return next((one for one in found if one.is_running), None)

    async def is_developer(self, address: str) -> bool:
        """Asked anew each time (tokens are asked for once a day): containers come and go."""
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
