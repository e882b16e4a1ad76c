"""A fake cloud and a Pulumi stack whose azure-native plugin reaches it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc.aio
import pytest
from pulumi.runtime.proto import provider_pb2_grpc

from lab.providers.azure_native.provider import AzureNative
from lab.providers.cloud_client import CloudClient
from tests.unit.lab.providers.fake_cloud import TOKEN, FakeCloud, serving
from tests.unit.lab.providers.pulumi_stack import PulumiStack


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    made = FakeCloud()
    with serving(made):
        yield made


@pytest.fixture
def stack(tmp_path: Path, cloud: FakeCloud) -> Iterator[PulumiStack]:
    """The engine attaches to a plugin in this process, which saves starting one each time."""
    with _plugin(cloud) as port:
        made = PulumiStack(tmp_path, {"PULUMI_DEBUG_PROVIDERS": f"azure-native:{port}"})
        made.init()
        yield made


@pytest.fixture
def stack_with_plugin_process(tmp_path: Path, cloud: FakeCloud) -> PulumiStack:
    """The engine starts the plugin itself, as it does in the lab."""
    made = PulumiStack(tmp_path, {"LAB_API_URL": cloud.url, "LAB_API_TOKEN": TOKEN})
    made.plugin("azure-native", "lab.providers.azure_native")
    made.init()
    return made


@contextmanager
def _plugin(cloud: FakeCloud) -> Iterator[int]:
    """The plugin in a thread of its own; yields its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server()
        plugin = AzureNative(CloudClient(cloud.url, TOKEN))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=10)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(None), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
