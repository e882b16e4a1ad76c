"""A plugin and a remote host for each test, and ports that fail in different ways."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.parts.lab.providers.command.engine import Engine, running_plugin
from tests.parts.lab.providers.command.far_side import (
    HOST,
    AcceptEnvChannel,
    FarSide,
    far_side_server,
)


@pytest.fixture(autouse=True)
def _no_ssh_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with running_plugin() as engine:
        yield engine


@pytest.fixture
async def far_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FarSide]:
    monkeypatch.setattr("asyncssh.connection.SSHServerChannel", AcceptEnvChannel)
    folder = tmp_path / "far"
    folder.mkdir()
    async with far_side_server(folder) as far_side:
        yield far_side


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A reserved port without a listener."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        yield sock.getsockname()[1]


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port that accepts connections and sends nothing."""
    connections: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    server = await asyncio.start_server(accept, HOST, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in connections:
        writer.close()


@pytest.fixture
async def resetting_port() -> AsyncIterator[int]:
    """A port that accepts connections and resets them, as a load balancer without VMs does."""

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        no_lingering = struct.pack("ii", 1, 0)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
        writer.transport.abort()

    server = await asyncio.start_server(accept, HOST, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
