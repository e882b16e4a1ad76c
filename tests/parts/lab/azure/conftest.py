"""A running data plane on free ports, in front of a real Azurite."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from lab.azure.arm.store import Store
from lab.azure.data_plane import DataPlane, Settings
from lab.azure.endpoints.callers import LabCallers
from lab.azure.identity.tokens import Principal
from lab.azure.storage.resource_types import STORAGE_AUDIENCE
from tests.parts.lab.azurite import AZURITE_ACCOUNT, delete_containers
from tests.ports import free_port
from tests.unit.lab.azure.stored_resources import KEY, NODE, StoredResources


@dataclass(frozen=True)
class Running:
    """A started data plane and how to talk to it."""

    stored: StoredResources
    plane: DataPlane
    front_port: int
    metadata_port: int
    names_port: int

    def token(
        self, principal: str = NODE, audience: str = STORAGE_AUDIENCE, lifetime: int = 3600
    ) -> str:
        return self.plane.tokens.issue(
            Principal(object_id=principal, client_id=f"client-of-{principal}"), audience, lifetime
        ).text

    @asynccontextmanager
    async def client(self, source: str = "127.0.0.1") -> AsyncIterator[aiohttp.ClientSession]:
        """An HTTP client that trusts the lab's authority and comes from ``source``."""
        context = ssl.create_default_context(cafile=self.plane.authority.certificate)
        connector = aiohttp.TCPConnector(
            resolver=_ToLoopback(), ssl=context, local_addr=(source, 0), force_close=True
        )
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session

    def url(self, host: str, path: str) -> str:
        return f"https://{host}:{self.front_port}{path}"


class _ToLoopback(AbstractResolver):
    """Resolves every name to loopback, as the lab's name server does for VMs."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "resources")


@pytest.fixture
def stored(store: Store) -> StoredResources:
    return StoredResources(store)


@pytest.fixture
async def running(store: Store, tmp_path: Path) -> AsyncIterator[Running]:
    """Without a blob store: requests that reach it are answered with 503."""
    async with start(store, tmp_path, "http://127.0.0.1:1") as made:
        yield made


@pytest.fixture
async def storage(store: Store, tmp_path: Path, azurite: str) -> AsyncIterator[Running]:
    """With Azurite, and with the account ``media`` that NODE may write to."""
    async with start(store, tmp_path, azurite) as made:
        account = made.stored.account("media")
        made.stored.container(account, "films")
        made.stored.assign("ba92f5b4-2d11-453d-a403-e96b0029c9fe", account)
        await made.plane.azurite.create_container("media", "films")
        yield made
        await delete_containers(made.plane.azurite, "media")


@asynccontextmanager
async def start(store: Store, folder: Path, azurite_url: str) -> AsyncIterator[Running]:
    front, metadata, names = free_port(), free_port(), free_port()
    settings = Settings(
        state=folder / "state",
        azurite_url=azurite_url,
        azurite_account=AZURITE_ACCOUNT,
        azurite_key=KEY,
        metadata=("127.0.0.1", metadata),
        names=("127.0.0.1", names),
        front=("127.0.0.1", front),
    )
    callers = LabCallers(store=store, docker_socket=str(folder / "docker.sock"))
    started = DataPlane(store, settings, callers)
    await started.start()
    try:
        yield Running(
            stored=StoredResources(store),
            plane=started,
            front_port=front,
            metadata_port=metadata,
            names_port=names,
        )
    finally:
        await started.stop()
