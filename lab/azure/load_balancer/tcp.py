"""TCP flows: accepts on a public address, connects to the chosen machine, passes bytes both ways.

Protocols and transports directly, because short requests are made of little else than this code. A
flow stays with its machine until one side ends it, also while that is unhealthy, as on Azure.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Iterable

from lab.azure.load_balancer.client_addresses import seen_as
from lab.azure.load_balancer.config import Backend, BalancingRule
from lab.azure.load_balancer.selection import Address, IsHealthy, Refusal, Selector

CONNECT_TIMEOUT = 20.0
"""Seconds that a client is kept waiting for a machine that doesn't answer at all."""

SYN_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds from one SYN of a client's kernel to the next, while nothing answers (Linux)."""

BACKLOG = 2048
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_IP_BIND_ADDRESS_NO_PORT = 24


class TcpListener:
    """One rule on one address. `update` changes the rule under running flows."""

    def __init__(
        self,
        address: str,
        rule: BalancingRule,
        is_healthy: IsHealthy,
        *,
        keeps_clients: bool = False,
    ) -> None:
        """With ``keeps_clients`` machines see who connects (sources.py), else this host."""
        self._address = address
        self._is_healthy = is_healthy
        self.keeps_clients = keeps_clients
        self._server: asyncio.Server | None = None
        self.flows: set[Flow] = set()
        self.selector = Selector(rule, address, is_healthy)

    async def open(self) -> None:
        """Raises OSError if the address or port can't be had."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Client(self),
            self._address,
            self.selector.rule.frontend_port,
            backlog=BACKLOG,
            reuse_address=True,
        )

    def update(self, rule: BalancingRule) -> None:
        """Takes over a changed rule; ends only the flows to machines that left the pool."""
        self.selector = Selector(rule, self._address, self._is_healthy)
        members = set(rule.backends)
        self._reset(flow for flow in self.flows if flow.backend not in members)

    def close(self) -> None:
        """The rule is gone, and so are its flows."""
        if self._server is not None:
            self._server.close()
        self._reset(self.flows)

    def expire(self, now: float) -> None:
        """Ends flows that were idle for too long. To be called every few seconds."""
        limit = self.selector.rule.idle_timeout_minutes * 60
        for flow in list(self.flows):
            if now - flow.last_activity > limit:
                flow.expire(reset=self.selector.rule.tcp_reset)

    def _reset(self, flows: "Iterable[Flow]") -> None:
        for flow in list(flows):
            flow.reset()


class Flow:
    """A pair of connections and the machine they belong to."""

    def __init__(self, listener: TcpListener, backend: Backend, client: "_Client") -> None:
        self.backend = backend
        self.client = client
        self.server = _Server(self)
        self.last_activity = asyncio.get_running_loop().time()
        self._listener = listener
        self._silent = False
        listener.flows.add(self)

    async def connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                sock = await self._handshake()
        except (OSError, TimeoutError):
            # Refused: no second try with another machine, the balancer doesn't look into
            # connections.
            self.reset()
            return
        await asyncio.get_running_loop().create_connection(lambda: self.server, sock=sock)

    async def _handshake(self) -> socket.socket:
        """Ask the machine, and the one that is picked by then whenever the client's kernel would
        send its SYN again, having heard nothing."""
        for wait in SYN_WAITS:
            try:
                async with asyncio.timeout(wait):
                    return await self._ask_machine()
            except TimeoutError:
                chosen = self._listener.selector.choose(self.client.address)
                if isinstance(chosen, Refusal):
                    raise ConnectionRefusedError(chosen.reason) from None
                self.backend = chosen
        raise TimeoutError

    async def _ask_machine(self) -> socket.socket:
        """Connect; a machine that is gone is silent, it does not refuse."""
        loop = asyncio.get_running_loop()
        sock = self._socket()
        try:
            await loop.sock_connect(
                sock, (self.backend.address, self._listener.selector.rule.backend_port)
            )
        except OSError as error:
            sock.close()
            if error.errno != errno.EHOSTUNREACH:
                raise
            await loop.create_future()  # the bridge knows what no client on Azure is told
        except asyncio.CancelledError:
            sock.close()
            raise
        return sock

    def _socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if self._listener.keeps_clients:
            # The port is chosen on connect, by machine and port, so that it doesn't run out.
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((seen_as(self.client.address[0]), 0))
        return sock

    def expire(self, *, reset: bool) -> None:
        """Azure forgets an idle flow; without TCP reset neither side is told.

        Here both ends then talk to nobody, and are let go after another idle period.
        """
        if reset or self._silent:
            self.reset()
        else:
            self._silent = True
            self.last_activity = asyncio.get_running_loop().time()
            self.client.pause()
            self.server.pause()

    def reset(self) -> None:
        self.client.reset()
        self.server.reset()
        self._listener.flows.discard(self)

    def ended(self, side: "_Side", error: Exception | None) -> None:
        """One side is closed: the other gets what is still on its way, or the reset."""
        other = self.server if side is self.client else self.client
        if error is not None:
            other.reset()
        else:
            other.close()
        if other.transport is None or other.transport.is_closing():
            self._listener.flows.discard(self)


class _Side(asyncio.Protocol):
    """One connection of a flow; ``peer`` is the other, once it is there."""

    transport: asyncio.Transport | None = None
    peer: "_Side | None" = None
    flow: Flow | None = None
    has_finished = False
    """Whether this side has sent all it had to say."""

    def data_received(self, data: bytes) -> None:
        flow, peer = self.flow, self.peer
        if flow is not None and peer is not None and peer.transport is not None:
            flow.last_activity = flow.server.now()
            peer.transport.write(data)

    def eof_received(self) -> bool:
        """Passes a half-close on; True keeps the other direction open, if it still is."""
        self.has_finished = True
        peer = self.peer
        if peer is None or peer.transport is None or peer.transport.is_closing():
            return False
        if peer.has_finished:
            peer.close()
            return False
        peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.pause()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.flow is not None:
            self.flow.ended(self, error)

    def pause(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Ends the connection with RST, which an orderly close would not send."""
        if self.transport is not None and not self.transport.is_closing():
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()


class _Client(_Side):
    """The side that was accepted. It isn't read until there is someone to pass its bytes to."""

    def __init__(self, listener: TcpListener) -> None:
        self._listener = listener
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.address: Address = transport.get_extra_info("peername")
        chosen = self._listener.selector.choose(self.address)
        if isinstance(chosen, Refusal):
            self.reset()
            return
        transport.pause_reading()
        self.flow = Flow(self._listener, chosen, self)
        self._connecting = asyncio.get_running_loop().create_task(self.flow.connect())


class _Server(_Side):
    """The side that was connected to a machine."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.now = asyncio.get_running_loop().time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        assert self.flow is not None, "set when it was made"
        self.transport = transport
        client = self.flow.client
        if client.transport is None or client.transport.is_closing():
            self.reset()
            return
        self.peer, client.peer = client, self
        client.transport.resume_reading()
