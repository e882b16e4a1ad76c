"""What both provider plugins share: start and end, errors, the engine's log.

A provider is a subclass of `Plugin` that implements Check, Diff, Create, Read, Update, Delete and
Invoke as coroutines, each wrapped in `@rpc`, and a `__main__.py` of one line:

    run(lambda: MyProvider(package="command", version="1.2.1"))

Errors: raise `ProviderError` with a gRPC code. INTERNAL, DATA_LOSS and UNKNOWN mean that the
resource's state is uncertain; any other code means that nothing has happened. Raise `InitFailed`
for a resource that exists but is not healthy: the engine keeps it in the state.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from lab.providers.wire import Props, dump_map, load_map

# Calls arrive in parallel, and most of them wait: more threads than cores.
_BLOCKING_CALLS = 64

_Self = TypeVar("_Self")
_Handler = Callable[[_Self, Any, Any], Awaitable[Any]]


class ProviderError(Exception):
    """An expected failure, with the gRPC code for the engine."""

    def __init__(
        self, message: str, code: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION
    ) -> None:
        super().__init__(message)
        self.code = code


class InitFailed(ProviderError):
    """The resource exists but is not healthy. It stays in the state; the next run updates it."""

    def __init__(self, message: str, *, resource_id: str, outputs: Props, inputs: Props) -> None:
        super().__init__(message, grpc.StatusCode.UNKNOWN)
        self.detail = provider_pb2.ErrorResourceInitFailed(
            id=resource_id,
            properties=dump_map(outputs),
            inputs=dump_map(inputs),
            reasons=[message],
        )


def rpc(handler: _Handler[_Self]) -> _Handler[_Self]:
    """Answer a call's exceptions as gRPC errors; an unexpected one also prints its traceback."""

    @functools.wraps(handler)
    async def answer(self: _Self, request: Any, context: Any) -> Any:
        try:
            return await handler(self, request, context)
        except InitFailed as error:
            status = status_pb2.Status(code=error.code.value[0], message=str(error))
            status.details.add().Pack(error.detail)
            trailer = ("grpc-status-details-bin", status.SerializeToString())
            context.set_trailing_metadata((trailer,))
            await context.abort(error.code, str(error))
        except ProviderError as error:
            await context.abort(error.code, str(error))
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            # Without this, gRPC would report a bare "Exception".
            traceback.print_exc(file=sys.stderr)
            await context.abort(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}")

    return answer


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """The calls that do not concern a resource. Subclasses override `configure` if they need it."""

    def __init__(self, *, package: str, version: str) -> None:
        self.package = package
        self.version = version
        self.cancelled = asyncio.Event()
        """Set on Ctrl-C: long waits must end with an error of code CANCELLED."""
        self._engine: grpc.aio.Channel | None = None

    async def configure(self, config: Props) -> None:
        """The provider's configuration, once, before any resource. May raise ProviderError."""

    async def log(
        self,
        urn: str,
        message: str,
        *,
        severity: engine_pb2.LogSeverity.ValueType = engine_pb2.LogSeverity.INFO,
        ephemeral: bool = False,
    ) -> None:
        """Show a message beside the resource. An ephemeral one is a status and is not kept."""
        if self._engine is None:
            return
        request = engine_pb2.LogRequest(
            severity=severity, message=message, urn=urn, ephemeral=ephemeral
        )
        stub: Any = engine_pb2_grpc.EngineStub(self._engine)
        try:
            await stub.Log(request, timeout=5)
        except grpc.aio.AioRpcError as error:
            # A message that cannot be shown must not fail the deployment.
            print(f"could not log {message!r}: {error.code()}", file=sys.stderr, flush=True)

    def connect_engine(self, address: str) -> None:
        """Use the engine at host:port."""
        self._engine = grpc.aio.insecure_channel(address, options=_GRPC_CHANNEL_OPTIONS)

    async def engine_gone(self) -> None:
        """Return when the engine no longer answers, so that the plugin does not outlive it."""
        if self._engine is None:
            await asyncio.Event().wait()
            return
        while True:
            state = self._engine.get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                return
            await self._engine.wait_for_state_change(state)

    @rpc
    async def Handshake(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        if request.engine_address and self._engine is None:
            self.connect_engine(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True,
            accept_resources=True,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    @rpc
    async def Attach(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """PULUMI_DEBUG_PROVIDERS=package:port: the engine attaches to a running plugin."""
        self.connect_engine(request.address)
        return empty_pb2.Empty()

    @rpc
    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        return plugin_pb2.PluginInfo(version=self.version)

    @rpc
    async def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        schema = {"name": self.package, "version": self.version, "resources": {}}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    @rpc
    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        return provider_pb2.CheckResponse(inputs=request.news)

    @rpc
    async def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """Configuration never replaces resources, as in the real providers."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    @rpc
    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        await self.configure(load_map(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True,
            acceptResources=True,
            acceptOutputs=False,
            supportsPreview=True,
            supports_autonaming_configuration=True,
        )

    @rpc
    async def Cancel(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        self.cancelled.set()
        return empty_pb2.Empty()


def type_of(request: Any) -> str:
    """The resource's type token; older engines send it inside the URN only."""
    return str(request.type or request.urn.split("::")[-2].split("$")[-1])


def name_of(request: Any) -> str:
    """The resource's name in the program."""
    return str(request.name or request.urn.split("::")[-1])


async def serve(plugin: Plugin, argv: list[str]) -> None:
    """Serve until the engine ends. `argv` contains its address, and flags that do not matter."""
    engine = next((argument for argument in argv if not argument.startswith("-")), None)
    if engine:
        plugin.connect_engine(engine)
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # the first line of stdout is the protocol's handshake
    await plugin.engine_gone()


def run(make_plugin: Callable[[], Plugin]) -> None:
    """The body of a plugin's `__main__.py`."""

    async def main() -> None:
        executor = ThreadPoolExecutor(_BLOCKING_CALLS, thread_name_prefix="call")
        asyncio.get_running_loop().set_default_executor(executor)
        await serve(make_plugin(), sys.argv[1:])
        os._exit(1)  # immediately: a call that waits in a thread would keep the process alive

    # The engine ends a plugin with SIGINT, after its last call. A Ctrl-C in the terminal does not
    # reach this process, because plugins have a process group of their own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asyncio.run(main())
