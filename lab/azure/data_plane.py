"""The data plane of all services: metadata, DNS, storage and vault. It shares the control plane's
store and process.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from lab.azure.arm.store import Store
from lab.azure.arm.subscription import TENANT_ID
from lab.azure.endpoints import certificates, dns, front
from lab.azure.endpoints.callers import Callers, LabCallers
from lab.azure.endpoints.dns import Names
from lab.azure.endpoints.front import Front
from lab.azure.endpoints.metadata_service import Metadata
from lab.azure.host.platform_addresses import METADATA, PLATFORM
from lab.azure.identity.roles import Roles
from lab.azure.identity.tokens import Tokens
from lab.azure.keyvault.vault_service import VaultService
from lab.azure.network.outages import Faults
from lab.azure.storage.azurite import Azurite
from lab.azure.storage.blob_service import BlobService

# Linux: bind to an address that does not exist yet. This process gets its addresses when it joins
# a virtual network, while it already serves.
_IP_FREEBIND = 15


@dataclass(frozen=True, kw_only=True)
class Settings:
    """State, blob store and listening addresses; the defaults are those of the lab's container."""

    state: Path = Path("/var/lib/lab")
    azurite_url: str
    azurite_account: str
    azurite_key: str
    metadata: tuple[str, int] = (METADATA, 80)
    names: tuple[str, int] = (PLATFORM, 53)
    front: tuple[str, int] = ("0.0.0.0", 443)


class DataPlane:
    """`start` listens on all three addresses, `stop` closes them. Call each once."""

    def __init__(self, store: Store, settings: Settings, callers: Callers | None = None) -> None:
        self.tokens = Tokens(settings.state, TENANT_ID)
        self.roles = Roles(store)
        self.faults = Faults()
        self.azurite = Azurite(settings.azurite_url, settings.azurite_account, settings.azurite_key)
        self.authority = certificates.authority(settings.state / "tls")
        self._settings = settings
        callers = callers or LabCallers(store=store)
        blob = BlobService(store, self.tokens, self.roles, self.azurite, self.faults)
        vault = VaultService(store, self.tokens, self.roles)
        self._front = Front(blob, vault, callers, self.faults)
        self._metadata = Metadata(store, callers, self.tokens, self.faults)
        self._names = Names(store, callers)
        self._runners: list[web.ServerRunner] = []
        self._stop_names: Callable[[], None] | None = None

    async def start(self) -> None:
        self._stop_names = await dns.serve(
            self._names.resolve,
            listener(socket.SOCK_DGRAM, self._settings.names),
            listener(socket.SOCK_STREAM, self._settings.names),
        )
        context = self.authority.server_context()
        server = listener(socket.SOCK_STREAM, self._settings.front)
        self._runners.append(await front.serve(self._front.handle, server, context))
        server = listener(socket.SOCK_STREAM, self._settings.metadata)
        self._runners.append(await front.serve(self._metadata.handle, server))

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        if self._stop_names is not None:
            self._stop_names()
        await self.azurite.close()


def listener(kind: socket.SocketKind, address: tuple[str, int]) -> socket.socket:
    """A bound socket, even if this computer does not have the address yet."""
    sock = socket.socket(socket.AF_INET, kind)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    sock.bind(address)
    return sock
