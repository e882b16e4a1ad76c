"""The simulated Azure behind its real API, in this process, with VMs that exist in memory only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from lab.azure.api.faults import FaultInjection
from lab.azure.api.server import Api
from lab.azure.api.status import Status
from lab.azure.arm.errors import AzureError
from lab.azure.arm.store import Resource
from lab.azure.network.outages import Faults
from tests.unit.lab.azure.azure import Azure

TOKEN = "a-token-for-tests"

_Result = TypeVar("_Result")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SimulatedAzure:
    """Every rule of Azure's that the lab has applies here.

    ``failures`` are errors for the creation of a type (``Subnet``) that the rules do not give;
    with ``created_anyway`` the resource exists in spite of the error.
    """

    def __init__(self, folder: Path) -> None:
        self.azure = Azure(folder)
        self.url = ""
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.failures: dict[str, AzureError] = {}
        self.created_anyway: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None

    @property
    def resources(self) -> dict[str, Resource]:
        """All resources by id, without VMs."""
        known = self.azure.cloud.manager.types
        return {each.id: each for each in self.azure.store.list() if each.token in known}

    def named(self, name: str) -> Resource:
        """The one resource with that name."""
        (found,) = [each for each in self.resources.values() if each.name == name]
        return found

    def writes(self) -> list[str]:
        """What was changed so far, as "POST Subnet", "DELETE", …"""
        return [
            f"{method} {body.get('token', '').split(':')[-1]}".strip()
            for method, path, body in self.requests
            if path.startswith("/resources") and method != "GET"
        ]

    def create(self, *kinds: str) -> None:
        """Creates the default resources of tests/unit/lab/azure, without the API."""
        self.run(self.azure.create_all(*kinds))

    def edit(self, resource: Resource, **properties: Any) -> None:
        """Changes a resource behind Pulumi's back."""
        inputs = {**resource.inputs, **properties}
        outputs = {**resource.outputs, **properties}
        self.azure.store.put(replace(resource, inputs=inputs, outputs=outputs))

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Runs it in the thread of the API."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=60)

    def stop(self) -> None:
        """The API no longer answers."""
        if self._runner is not None:
            self.run(self._runner.cleanup())
            self._runner = None

    async def start(self) -> None:
        cloud, store = self.azure.cloud, self.azure.store
        faults = FaultInjection(store, cloud.lifecycle, cloud.scale_sets, Faults())
        status = Status(store, self.azure.folder / "probes.json")
        application = Api(store, cloud.manager, faults, status).application(TOKEN)
        application.middlewares.append(self._observed())
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    def _observed(self) -> Any:
        @web.middleware
        async def observe(request: web.Request, handler: _Handler) -> web.StreamResponse:
            body = await request.json() if request.can_read_body else {}
            self.requests.append((request.method, request.path_qs, body))
            kind = body.get("token", "").split(":")[-1]
            failure = self.failures.get(kind) if request.method == "POST" else None
            if failure and kind not in self.created_anyway:
                raise failure
            answer = await handler(request)
            if failure:
                raise failure
            return answer

        return observe


@contextmanager
def serving(folder: Path) -> Iterator[SimulatedAzure]:
    """The API on a free port of the loopback address, in a thread of its own."""
    folder.mkdir(exist_ok=True)
    made = SimulatedAzure(folder)
    thread = threading.Thread(target=made._loop.run_forever, daemon=True)
    thread.start()
    made.run(made.start())
    try:
        yield made
    finally:
        made.stop()
        made._loop.call_soon_threadsafe(made._loop.stop)
        thread.join(timeout=10)
        made._loop.close()
