"""TCP through the balancer, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from lab.azure.load_balancer.config import Backend, BalancingRule
from lab.azure.load_balancer.tcp import TcpListener
from tests.eventually import PATIENCE, eventually_async
from tests.parts.lab.azure.load_balancer.conftest import Serve
from tests.unit.lab.azure.load_balancer.pool import rule

FRONTEND = "127.50.0.1"


class Balanced:
    """A listener whose VMs are healthy unless listed in ``down``."""

    def __init__(self, made: BalancingRule) -> None:
        self.down: set[str] = set()
        self.listener = TcpListener(FRONTEND, made, self._is_healthy)

    def _is_healthy(self, _: BalancingRule, backend: Backend) -> bool:
        return backend.name not in self.down


@pytest.fixture
async def balanced(frontend_port: int, port: int) -> AsyncIterator[Balanced]:
    made = Balanced(rule(frontend_port, port))
    await made.listener.open()
    yield made
    made.listener.close()


async def connect(
    balanced: Balanced, source: str = "127.1.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = balanced.listener.selector.rule.frontend_port
    return await asyncio.open_connection(FRONTEND, port, local_addr=(source, 0))


async def ask(balanced: Balanced) -> str:
    reader, writer = await connect(balanced)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    return answer.decode()


async def assert_reset(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionResetError):
            await reader.read()


@contextmanager
def silent_machine(address: str, port: int) -> Iterator[None]:
    """A VM that answers no SYN, as if it were off: its backlog is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind((address, port))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers only after the client has finished sending."""
    writer.write(await reader.read())
    await writer.drain()
    writer.close()


async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_connections_reach_every_vm(balanced: Balanced, port: int, serve: Serve) -> None:
    await serve("127.9.0.1", port)
    await serve("127.9.0.2", port)

    assert {await ask(balanced) for _ in range(30)} == {"127.9.0.1", "127.9.0.2"}


async def test_a_client_that_half_closes_still_gets_its_answer(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, echo)
    await serve("127.9.0.2", port, echo)
    reader, writer = await connect(balanced)

    writer.write(b"all I have")
    writer.write_eof()

    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b"all I have"
    writer.close()


async def test_large_transfers_arrive_whole_both_ways(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, repeat)
    await serve("127.9.0.2", port, repeat)
    reader, writer = await connect(balanced)
    sent = bytes(range(256)) * 40_000

    async def send() -> None:
        writer.write(sent)
        await writer.drain()
        writer.write_eof()

    async with asyncio.timeout(PATIENCE):
        _, received = await asyncio.gather(send(), reader.read())

    assert received == sent
    writer.close()


async def test_without_a_healthy_vm_the_connection_is_reset(balanced: Balanced) -> None:
    balanced.down = {"core/0", "core/1"}

    with pytest.raises(ConnectionResetError):
        await ask(balanced)


async def test_a_vm_that_refuses_is_not_replaced_by_another(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    """Azure's balancer forwards packets; it cannot try again."""
    await serve("127.9.0.1", port)
    balanced.down = {"core/0"}

    with pytest.raises(ConnectionResetError):
        await ask(balanced)


async def test_a_client_that_retries_reaches_a_healthy_vm(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    """The client's kernel repeats the SYN long before it gives up."""
    await serve("127.9.0.2", port)
    with silent_machine("127.9.0.1", port):
        balanced.down = {"core/1"}
        answer = asyncio.create_task(ask(balanced))
        await eventually_async(lambda: len(balanced.listener.flows) == 1)

        balanced.down = {"core/0"}

        assert await answer == "127.9.0.2"


async def test_an_unhealthy_vm_keeps_its_flows_but_gets_no_new_ones(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, repeat)
    await serve("127.9.0.2", port)
    balanced.down = {"core/1"}
    reader, writer = await connect(balanced)
    writer.write(b"before")
    assert await reader.readexactly(6) == b"before"

    balanced.down = {"core/0"}

    writer.write(b"after")
    assert await reader.readexactly(5) == b"after"
    assert await ask(balanced) == "127.9.0.2"
    writer.close()


async def test_a_vm_that_leaves_the_pool_loses_its_flows_and_others_dont(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, repeat)
    await serve("127.9.0.2", port, repeat)
    balanced.down = {"core/1"}
    leaving, leaving_writer = await connect(balanced)
    balanced.down = {"core/0"}
    staying, staying_writer = await connect(balanced)
    for writer, reader in ((leaving_writer, leaving), (staying_writer, staying)):
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"

    made = balanced.listener.selector.rule
    balanced.listener.update(replace(made, backends=made.backends[1:]))

    await assert_reset(leaving)
    staying_writer.write(b"y")
    assert await staying.readexactly(1) == b"y"
    staying_writer.close()


async def test_a_reset_by_the_vm_reaches_the_client(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    await serve("127.9.0.1", port, reset)
    await serve("127.9.0.2", port, reset)

    with pytest.raises(ConnectionResetError):
        await ask(balanced)


async def test_an_idle_flow_is_reset_when_the_rule_says_so(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, repeat)
    await serve("127.9.0.2", port, repeat)
    made = balanced.listener.selector.rule
    balanced.listener.update(replace(made, tcp_reset=True))
    reader, writer = await connect(balanced)
    writer.write(b"x")
    await reader.readexactly(1)

    balanced.listener.expire(asyncio.get_running_loop().time() + 3 * 60)
    writer.write(b"y")
    assert await reader.readexactly(1) == b"y"
    balanced.listener.expire(asyncio.get_running_loop().time() + 5 * 60)

    await assert_reset(reader)


async def test_an_idle_flow_without_tcp_reset_goes_silent(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, repeat)
    await serve("127.9.0.2", port, repeat)
    reader, writer = await connect(balanced)
    writer.write(b"x")
    await reader.readexactly(1)

    balanced.listener.expire(asyncio.get_running_loop().time() + 5 * 60)
    writer.write(b"y")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.3)
    balanced.listener.expire(asyncio.get_running_loop().time() + 10 * 60)
    await assert_reset(reader)


async def test_flows_are_forgotten_when_they_end(
    balanced: Balanced, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port)
    await serve("127.9.0.2", port)
    for _ in range(10):
        await ask(balanced)

    await eventually_async(lambda: not balanced.listener.flows)
