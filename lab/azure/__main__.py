"""`python3 -m lab.azure`: the simulated Azure, in one process, until SIGTERM."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from lab.azure.api.faults import FaultInjection
from lab.azure.api.server import Api
from lab.azure.api.status import Status
from lab.azure.arm.store import Store, write_private
from lab.azure.control_plane import ControlPlane
from lab.azure.data_plane import DataPlane, Settings
from lab.azure.fabric.updater import own_platform_addresses
from lab.azure.host.docker_host import DockerHost, connect

LOG = logging.getLogger("lab.azure")

API_PORT = 8900
SHUTDOWN_SECONDS = 5.0
"""For calls in progress. The next start finishes what takes longer."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The settings of this process, from its environment variables."""

    api_token: str
    """LAB_API_TOKEN: what callers of the API must present."""

    node_image: str
    """LAB_NODE_IMAGE: the image that VMs boot from."""

    azurite_url: str
    """LAB_AZURITE_URL: the blob store, e.g. ``http://fleet-lab-azurite:10000``."""

    azurite_account: str
    """LAB_AZURITE_ACCOUNT: the blob store's only account."""

    azurite_key: str
    """LAB_AZURITE_KEY: its key, base64."""

    container: str
    """LAB_CONTAINER: the container of this process (default ``fleet-lab-cloud``), which joins every
    virtual network."""

    state: Path
    """LAB_STATE: the folder for what must survive a restart (default ``/var/lib/lab``)."""

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> "Environment":
        """Raises KeyError for a variable that is missing."""
        return cls(
            api_token=variables["LAB_API_TOKEN"],
            node_image=variables["LAB_NODE_IMAGE"],
            azurite_url=variables["LAB_AZURITE_URL"],
            azurite_account=variables["LAB_AZURITE_ACCOUNT"],
            azurite_key=variables["LAB_AZURITE_KEY"],
            container=variables.get("LAB_CONTAINER", "fleet-lab-cloud"),
            state=Path(variables.get("LAB_STATE", "/var/lib/lab")),
        )


async def run(environment: Environment) -> None:
    """Serves until SIGTERM. VMs that ran when the last process ended run again."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    store = Store(environment.state / "resources")
    plane = DataPlane(
        store,
        Settings(
            state=environment.state,
            azurite_url=environment.azurite_url,
            azurite_account=environment.azurite_account,
            azurite_key=environment.azurite_key,
        ),
    )
    # For the programs of the computer that the lab runs on.
    certificate = plane.authority.certificate.read_text()
    write_private(environment.state / "ca.pem", certificate)
    host = DockerHost(connect(), image=environment.node_image, container=environment.container)
    cloud = ControlPlane.assemble(
        store=store,
        host=host,
        blobs=plane.azurite,
        authority=plane.authority.certificate,
        balancer=environment.state / "load-balancer.json",
    )

    await own_platform_addresses()
    await plane.start()
    await cloud.resume()
    background = [
        asyncio.create_task(cloud.lifecycle.keep_healed(cloud.scale_sets.reimage)),
        asyncio.create_task(cloud.fabric.keep_filtered()),
    ]
    runner = await _serve(environment, cloud, plane)
    LOG.info("serving %d resources", len(store.list()))
    stopping = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([*background, stopping], return_when=asyncio.FIRST_COMPLETED)
    await runner.cleanup()
    await plane.stop()
    for task in done:
        task.result()  # a background task ends only with an error, which must end the process


async def _serve(environment: Environment, cloud: ControlPlane, plane: DataPlane) -> web.AppRunner:
    faults = FaultInjection(cloud.store, cloud.lifecycle, cloud.scale_sets, plane.faults)
    status = Status(cloud.store, environment.state / "probes.json")
    api = Api(cloud.store, cloud.manager, faults, status)
    runner = web.AppRunner(
        api.application(environment.api_token),
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", API_PORT).start()
    return runner


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(run(Environment.read()))
