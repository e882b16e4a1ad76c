"""The frame around a provider: how it starts, ends and fails."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from lab.azure.resource_types import PACKAGE_VERSION
from lab.providers.plugin import InitFailed, Plugin, ProviderError, rpc
from tools.paths import PROJECT


class Failing(Plugin):
    """Fails in the way that the resource's id asks for."""

    @rpc
    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        match request.id:
            case "expected":
                raise ProviderError("no", grpc.StatusCode.PERMISSION_DENIED)
            case "unexpected":
                raise KeyError("a bug")
            case "unhealthy":
                raise InitFailed("ill", resource_id="x", outputs={"a": 1}, inputs={"b": 2})
        return empty_pb2.Empty()


@asynccontextmanager
async def served(plugin: Plugin) -> AsyncIterator[Any]:
    """A client's view of the plugin."""
    server = grpc.aio.server()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    await server.stop(None)


async def failure(resource_id: str) -> grpc.aio.AioRpcError:
    async with served(Failing(package="tests", version="1.0.0")) as provider:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await provider.Delete(provider_pb2.DeleteRequest(id=resource_id))
    return caught.value


async def test_an_expected_error_keeps_its_code() -> None:
    error = await failure("expected")

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert error.details() == "no"


async def test_a_bug_is_reported_with_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    error = await failure("unexpected")

    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == "KeyError: 'a bug'"
    assert "Traceback" in capsys.readouterr().err


async def test_an_unhealthy_resource_is_described() -> None:
    error = await failure("unhealthy")

    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("x", ["ill"])
    assert dict(detail.properties) == {"a": 1}
    assert dict(detail.inputs) == {"b": 2}


async def test_handshake_and_configure_agree_on_features() -> None:
    async with served(Plugin(package="tests", version="1.0.0")) as provider:
        shaken = await provider.Handshake(provider_pb2.ProviderHandshakeRequest())
        configured = await provider.Configure(provider_pb2.ConfigureRequest())

    assert shaken.accept_secrets == configured.acceptSecrets is True
    assert shaken.accept_resources == configured.acceptResources is True
    assert shaken.accept_outputs == configured.acceptOutputs is False
    assert shaken.supports_autonaming_configuration
    assert configured.supports_autonaming_configuration


async def test_a_plugin_starts_with_its_port_and_ends_with_its_engine() -> None:
    engine = grpc.aio.server()
    engine_pb2_grpc.add_EngineServicer_to_server(engine_pb2_grpc.EngineServicer(), engine)
    engine_port = engine.add_insecure_port("127.0.0.1:0")
    await engine.start()
    environment = {**os.environ, "LAB_API_URL": "http://127.0.0.1:1", "LAB_API_TOKEN": "x"}

    plugin = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab.providers.azure_native", f"127.0.0.1:{engine_port}"),
        *("-logtostderr", "-v=9"),
        cwd=PROJECT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert plugin.stdout is not None
    port = int(await asyncio.wait_for(plugin.stdout.readline(), 60))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        provider: Any = provider_pb2_grpc.ResourceProviderStub(channel)
        info = await provider.GetPluginInfo(empty_pb2.Empty())
    await engine.stop(None)

    assert info.version == PACKAGE_VERSION
    await asyncio.wait_for(plugin.wait(), 60)
