"""Plugins in this process, to which the engine attaches: starting one takes longer than a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc.aio
from pulumi.runtime.proto import provider_pb2_grpc

from lab.providers.azure_native.provider import AzureNative
from lab.providers.cloud_client import CloudClient
from lab.providers.command.provider import CommandProvider
from tests.parts.lab.providers.simulated_azure import TOKEN, SimulatedAzure


@contextmanager
def attached_plugins(cloud: SimulatedAzure) -> Iterator[dict[str, str]]:
    """Both of the lab's plugins, in a thread of their own; yields the engine's environment."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> list[tuple[grpc.aio.Server, str]]:
        azure_native = await _serve(AzureNative(CloudClient(cloud.url, TOKEN)))
        command = await _serve(CommandProvider())
        return [
            (azure_native[0], f"azure-native:{azure_native[1]}"),
            (command[0], f"command:{command[1]}"),
        ]

    started = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=10)
    try:
        yield {"PULUMI_DEBUG_PROVIDERS": ",".join(where for _, where in started)}
    finally:
        for server, _ in started:
            asyncio.run_coroutine_threadsafe(server.stop(None), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


async def _serve(plugin: provider_pb2_grpc.ResourceProviderServicer) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port
