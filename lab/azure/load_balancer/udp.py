"""UDP flows: each client has its own socket to its VM, so that answers can be matched to it.

As on Azure, and unlike TCP, a flow moves to another VM when its VM turns unhealthy.
"""

import asyncio
import logging
import socket
from typing import cast

from lab.azure.load_balancer.client_addresses import seen_as
from lab.azure.load_balancer.config import Backend, BalancingRule
from lab.azure.load_balancer.selection import Address, IsHealthy, Refusal, Selector

LOG = logging.getLogger(__name__)

IDLE = 240.0
"""Seconds. On Azure, a rule's idle timeout is for TCP only; UDP flows live four minutes."""

MAX_FLOWS = 8192
"""For each rule; above it, the flow that was idle longest is dropped."""

_LARGEST_DATAGRAM = 65535
_BUFFER = 1 << 20


class UdpListener:
    """One rule on one address. `update` changes the rule under running flows."""

    def __init__(
        self,
        address: str,
        rule: BalancingRule,
        is_healthy: IsHealthy,
        *,
        keeps_clients: bool = False,
    ) -> None:
        """With ``keeps_clients`` VMs see the client (client_addresses.py), otherwise this host."""
        self._address = address
        self._keeps_clients = keeps_clients
        self._is_healthy = is_healthy
        self._loop = asyncio.get_running_loop()
        self._flows: dict[Address, _Flow] = {}
        self._socket: socket.socket | None = None
        self.selector = Selector(rule, address, is_healthy)

    async def open(self) -> None:
        """Raises OSError if the address or port is not available."""
        sock = _datagram_socket()
        try:
            sock.bind((self._address, self.selector.rule.frontend_port))
        except OSError:
            sock.close()
            raise
        self._socket = sock
        self._loop.add_reader(sock, self._readable, sock)

    def update(self, rule: BalancingRule) -> None:
        """Applies a changed rule. A flow whose VM left the pool gets another VM."""
        self.selector = Selector(rule, self._address, self._is_healthy)
        for client, flow in list(self._flows.items()):
            if flow.backend not in rule.backends:
                self._drop(client)

    def close(self) -> None:
        for client in list(self._flows):
            self._drop(client)
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def expire(self, now: float) -> None:
        for client, flow in list(self._flows.items()):
            if now - flow.last_activity > IDLE:
                self._drop(client)

    def answer(self, data: bytes, client: Address) -> None:
        """Sends a VM's datagram to the client; a full buffer drops it, as a network would."""
        assert self._socket is not None, "flows exist only while the listener is open"
        try:
            self._socket.sendto(data, client)
        except OSError as error:
            LOG.debug("datagram to %s lost: %s", client, error)

    def _readable(self, sock: socket.socket) -> None:
        for data, client in _datagrams(sock):
            flow = self._flows.get(client)
            if flow is None or not self._is_healthy(self.selector.rule, flow.backend):
                flow = self._place(client)
            if flow is not None:
                flow.send(data)

    def _place(self, client: Address) -> "_Flow | None":
        self._drop(client)
        chosen = self.selector.choose(client)
        if isinstance(chosen, Refusal):
            return None
        if len(self._flows) >= MAX_FLOWS:
            self._drop(min(self._flows, key=lambda each: self._flows[each].last_activity))
        sock = _datagram_socket()
        if self._keeps_clients:
            sock.bind((seen_as(client[0]), 0))
        sock.connect((chosen.address, self.selector.rule.backend_port))
        flow = _Flow(self, client, chosen, sock)
        self._flows[client] = flow
        return flow

    def _drop(self, client: Address) -> None:
        if flow := self._flows.pop(client, None):
            flow.close()


class _Flow:
    """A client's socket to its VM."""

    def __init__(
        self, listener: UdpListener, client: Address, backend: Backend, sock: socket.socket
    ) -> None:
        self.backend = backend
        self.last_activity = 0.0
        self._client = client
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._loop.add_reader(self._socket, self._readable)

    def send(self, data: bytes) -> None:
        self.last_activity = self._loop.time()
        try:
            self._socket.send(data)
        except OSError as error:
            # The refusal of an earlier datagram arrives here.
            LOG.debug("datagram to %s lost: %s", self.backend.name, error)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        self.last_activity = self._loop.time()
        for data, _ in _datagrams(self._socket):
            self._listener.answer(data, self._client)


def _datagram_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    return sock


def _datagrams(sock: socket.socket, at_most: int = 64) -> list[tuple[bytes, Address]]:
    """Arrived datagrams; limited, so that one rule cannot starve the others."""
    arrived: list[tuple[bytes, Address]] = []
    while len(arrived) < at_most:
        try:
            data, sender = sock.recvfrom(_LARGEST_DATAGRAM)
        except BlockingIOError:
            break
        except OSError as error:
            # An ICMP refusal of what we sent; the socket stays usable.
            LOG.debug("datagram lost: %s", error)
            break
        arrived.append((data, cast(Address, sender)))
    return arrived
