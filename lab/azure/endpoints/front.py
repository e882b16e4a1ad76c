"""The TLS front of storage and vault: one listener, which dispatches by host name as Azure does.

It finds the sender of a request and applies outages; the services do everything else.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

from lab.azure.endpoints.callers import Callers
from lab.azure.keyvault.resource_types import VAULT_SUFFIX
from lab.azure.keyvault.vault_service import VaultService
from lab.azure.network.outages import Faults, Service, hang_up
from lab.azure.network.service_firewalls import DEVELOPER, Sender
from lab.azure.storage.blob_service import BlobService
from lab.azure.storage.resource_types import STORAGE_SUFFIX

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
ServiceHandler = Callable[[web.BaseRequest, str, Sender], Awaitable[web.StreamResponse]]

_READ_BUFFER = 1 << 19
_SHUTDOWN = 2.0
"""Seconds for answers in progress at a stop; Docker kills the process after ten."""


class Front:
    """The dispatcher; `serve` attaches it to a socket."""

    def __init__(
        self, blob: BlobService, vault: VaultService, callers: Callers, faults: Faults
    ) -> None:
        self._blob = blob
        self._vault = vault
        self._callers = callers
        self._faults = faults

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        host = request.host.partition(":")[0].lower()
        if host.endswith(STORAGE_SUFFIX):
            return await self._serve("blob", self._blob.handle, request, host)
        if host.endswith(VAULT_SUFFIX):
            return await self._serve("vault", self._vault.handle, request, host)
        return web.Response(
            status=400, text=f"{host} is not a name of the lab's storage or vaults\n"
        )

    async def _serve(
        self, service: Service, handle: ServiceHandler, request: web.BaseRequest, host: str
    ) -> web.StreamResponse:
        await asyncio.sleep(self._faults.delay.get(service, 0))
        if self._faults.is_down(service):
            return hang_up(request)
        return await handle(request, host, self._sender(request))

    def _sender(self, request: web.BaseRequest) -> Sender:
        vm = self._callers.vm_at(request.remote or "")
        if vm is None:
            return DEVELOPER
        return Sender(address=vm.address, subnet=vm.subnet)


async def serve(
    handler: Handler, listener: socket.socket, context: ssl.SSLContext | None = None
) -> web.ServerRunner:
    """Serves a bound socket, with TLS if there is a context, until the runner's ``cleanup``."""
    server = web.Server(
        handler,
        access_log=None,
        read_bufsize=_READ_BUFFER,
        # When a client disconnects, its request ends.
        handler_cancellation=True,
    )
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=context, backlog=1024).start()
    return runner
