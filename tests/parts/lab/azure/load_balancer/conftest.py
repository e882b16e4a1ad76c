"""VMs that answer, and a balancer in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.ports import free_port

Serve = Callable[..., Awaitable[asyncio.Server]]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def port() -> int:
    """A port that is free on every loopback address."""
    return free_port()


@pytest.fixture
def frontend_port() -> int:
    return free_port()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a VM's TCP service; by default it says its own address and ends."""
    async with AsyncExitStack() as stack:

        async def start(address: str, port: int, handler: Handler | None = None) -> asyncio.Server:
            server = await asyncio.start_server(handler or _name_yourself, address, port)
            stack.callback(server.close)
            return server

        yield start


async def _name_yourself(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(writer.get_extra_info("sockname")[0].encode())
    writer.close()
