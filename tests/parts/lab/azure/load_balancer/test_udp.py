"""UDP through the balancer, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from lab.azure.load_balancer.config import Backend, BalancingRule
from lab.azure.load_balancer.udp import IDLE, UdpListener
from tests.unit.lab.azure.load_balancer.pool import rule

FRONTEND = "127.50.0.1"


class Echo(asyncio.DatagramProtocol):
    """A VM that answers with its own address and where the datagram came from."""

    def __init__(self, address: str) -> None:
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        answer = f"{self._address} {sender[1]} {data.decode()}".encode()
        self.transport.sendto(answer, sender)  # type: ignore[attr-defined]


class Balanced:
    def __init__(self, made: BalancingRule) -> None:
        self.down: set[str] = set()
        self.listener = UdpListener(FRONTEND, made, self._is_healthy)

    def _is_healthy(self, _: BalancingRule, backend: Backend) -> bool:
        return backend.name not in self.down


@pytest.fixture
async def balanced(frontend_port: int, port: int) -> AsyncIterator[Balanced]:
    loop = asyncio.get_running_loop()
    vms = [
        await loop.create_datagram_endpoint(
            lambda address=address: Echo(address),  # type: ignore[misc]
            local_addr=(address, port),
        )
        for address in ("127.9.0.1", "127.9.0.2")
    ]
    made = Balanced(rule(frontend_port, port, protocol="Udp", distribution="SourceIP"))
    await made.listener.open()
    yield made
    made.listener.close()
    for transport, _ in vms:
        transport.close()


class Client:
    """One socket, so that its datagrams are one flow."""

    def __init__(self, balanced: Balanced, source: str = "127.1.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((source, 0))
        self._socket.connect((FRONTEND, balanced.listener.selector.rule.frontend_port))

    async def ask(self, text: str = "hello", *, patience: float = 20) -> tuple[str, str]:
        """The VM that answered, and the port by which the balancer reached it."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, text.encode())
        answer = await asyncio.wait_for(loop.sock_recv(self._socket, 1024), patience)
        vm, port, echoed = answer.decode().split()
        assert echoed == text
        return vm, port

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def client(balanced: Balanced) -> Client:
    return Client(balanced)


async def test_answers_return_through_the_same_flow(client: Client) -> None:
    assert await client.ask() == await client.ask()


async def test_source_ip_keeps_all_sockets_of_a_client_on_one_vm(balanced: Balanced) -> None:
    vms = {(await Client(balanced).ask())[0] for _ in range(10)}

    assert len(vms) == 1


async def test_clients_are_spread(balanced: Balanced) -> None:
    vms = {(await Client(balanced, f"127.1.0.{n}").ask())[0] for n in range(1, 20)}

    assert vms == {"127.9.0.1", "127.9.0.2"}


async def test_a_flow_moves_when_its_vm_turns_unhealthy(balanced: Balanced, client: Client) -> None:
    vm, _ = await client.ask()

    balanced.down = {"core/0" if vm == "127.9.0.1" else "core/1"}

    assert (await client.ask())[0] != vm


async def test_flows_of_other_vms_stay_where_they_are(balanced: Balanced, client: Client) -> None:
    before = await client.ask()

    balanced.down = {"core/1" if before[0] == "127.9.0.1" else "core/0"}

    assert await client.ask() == before


async def test_without_a_healthy_vm_there_is_no_answer(balanced: Balanced, client: Client) -> None:
    balanced.down = {"core/0", "core/1"}

    with pytest.raises(TimeoutError):
        await client.ask(patience=0.3)


async def test_an_idle_flow_is_forgotten(balanced: Balanced, client: Client) -> None:
    _, port = await client.ask()

    balanced.listener.expire(asyncio.get_running_loop().time() + IDLE + 1)

    assert (await client.ask())[1] != port


async def test_a_vm_that_leaves_the_pool_loses_its_flows(
    balanced: Balanced, client: Client
) -> None:
    vm, _ = await client.ask()
    made = balanced.listener.selector.rule

    staying = tuple(each for each in made.backends if each.address != vm)
    balanced.listener.update(replace(made, backends=staying))

    assert (await client.ask())[0] == staying[0].address
