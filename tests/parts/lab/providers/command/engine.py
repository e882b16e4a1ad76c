"""The engine's side for tests: calls the plugin over gRPC and collects what it logs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from lab.providers.command.provider import CommandProvider
from lab.providers.wire import Props, dump_map, load_map

REMOTE = "command:remote:Command"


@dataclass
class Log(engine_pb2_grpc.EngineServicer):
    """The engine's log."""

    messages: list[tuple[str, str, bool]] = field(default_factory=list)
    """(severity, text, ephemeral)"""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def Log(self, request: Any, context: Any) -> Any:
        del context
        severity = engine_pb2.LogSeverity.Name(request.severity)
        self.messages.append((severity, request.message, request.ephemeral))
        self.arrived.set()
        return empty_pb2.Empty()

    def statuses(self) -> list[str]:
        """The texts of ephemeral messages."""
        return [text for _, text, ephemeral in self.messages if ephemeral]

    def lasting(self) -> list[tuple[str, str]]:
        """The messages that are not ephemeral."""
        return [(severity, text) for severity, text, ephemeral in self.messages if not ephemeral]

    async def wait_for(self, text: str) -> None:
        """Return when a message with this text has arrived."""
        while not any(text in message for _, message, _ in self.messages):
            self.arrived.clear()
            await self.arrived.wait()


class Failed(Exception):
    """The plugin's error."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.text = error.details() or ""
        super().__init__(f"{self.code.name}: {self.text}")


@dataclass
class Engine:
    """One method a call of the protocol, with plain values in and out."""

    stub: Any
    log: Log
    pauses: list[float]
    """The pauses between dials that the plugin asked for."""

    async def _call(self, method: str, request: Any) -> Any:
        try:
            return await getattr(self.stub, method)(request)
        except grpc.aio.AioRpcError as error:
            raise Failed(error) from None

    async def check(self, token: str, news: Props) -> tuple[Props, list[tuple[str, str]]]:
        request = provider_pb2.CheckRequest(urn=_urn(token), type=token, news=dump_map(news))
        response = await self._call("Check", request)
        failures = [(failure.property, failure.reason) for failure in response.failures]
        return load_map(response.inputs), failures

    async def diff(
        self, token: str, olds: Props, news: Props, *, state: Props | None = None, **rest: Any
    ) -> Any:
        request = provider_pb2.DiffRequest(
            id="it",
            urn=_urn(token),
            type=token,
            olds=dump_map(state or olds),
            old_inputs=dump_map(olds),
            news=dump_map(news),
            **rest,
        )
        return await self._call("Diff", request)

    async def create(self, token: str, inputs: Props, **rest: Any) -> tuple[str, Props]:
        request = provider_pb2.CreateRequest(
            urn=_urn(token), type=token, name="it", properties=dump_map(inputs), **rest
        )
        response = await self._call("Create", request)
        return response.id, load_map(response.properties)

    async def update(self, token: str, state: Props, news: Props, **rest: Any) -> Props:
        request = provider_pb2.UpdateRequest(
            id="it",
            urn=_urn(token),
            type=token,
            olds=dump_map(state),
            news=dump_map(news),
            **rest,
        )
        return load_map((await self._call("Update", request)).properties)

    async def delete(self, token: str, state: Props, **rest: Any) -> None:
        request = provider_pb2.DeleteRequest(
            id="it", urn=_urn(token), type=token, properties=dump_map(state), **rest
        )
        await self._call("Delete", request)

    async def read(self, token: str, state: Props) -> Any:
        props = dump_map(state)
        request = provider_pb2.ReadRequest(
            id="it", urn=_urn(token), type=token, properties=props, inputs=props
        )
        return await self._call("Read", request)

    async def invoke(self, token: str, args: Props) -> Any:
        request = provider_pb2.InvokeRequest(tok=token, args=dump_map(args))
        return await self._call("Invoke", request)

    async def cancel(self) -> None:
        await self._call("Cancel", empty_pb2.Empty())

    async def call(self, method: str, request: Any) -> Any:
        """Any other call."""
        return await self._call(method, request)


def _urn(token: str) -> str:
    return f"urn:pulumi:dev::fleet::{token}::it"


@contextlib.asynccontextmanager
async def running_plugin() -> AsyncIterator[Engine]:
    """The plugin as the engine sees it. Pauses between dials take no time and are recorded."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    log = Log()
    engine_server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    engine_pb2_grpc.add_EngineServicer_to_server(log, engine_server)
    engine_port = engine_server.add_insecure_port("127.0.0.1:0")
    await engine_server.start()
    plugin = CommandProvider(pause=pause)
    plugin.connect_engine(f"127.0.0.1:{engine_port}")
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{port}", options=_GRPC_CHANNEL_OPTIONS
    ) as channel:
        yield Engine(provider_pb2_grpc.ResourceProviderStub(channel), log, pauses)
    await server.stop(grace=None)
    await engine_server.stop(grace=None)
