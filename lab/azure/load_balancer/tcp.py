"""TCP flows: accepts on a public address, connects to the chosen VM, passes bytes both ways.

It uses protocols and transports directly, because this code is most of the cost of a short request.
As on Azure, a flow stays with its VM until one side ends it, even if the VM is unhealthy.
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
"""Seconds that a client waits for a VM that does not answer."""

SYN_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between the SYNs of a client's kernel while nothing answers (Linux)."""

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
        """With ``keeps_clients`` VMs see the client (client_addresses.py), otherwise this host."""
        self._address = address
        self._is_healthy = is_healthy
        self.keeps_clients = keeps_clients
        self._server: asyncio.Server | None = None
        self.flows: set[Flow] = set()
        self.selector = Selector(rule, address, is_healthy)

    async def open(self) -> None:
        """Raises OSError if the address or port is not available."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Client(self),
            self._address,
            self.selector.rule.frontend_port,
            backlog=BACKLOG,
            reuse_address=True,
        )

    def update(self, rule: BalancingRule) -> None:
        """Applies a changed rule; ends only the flows to VMs that left the pool."""
        self.selector = Selector(rule, self._address, self._is_healthy)
        members = set(rule.backends)
        self._reset(flow for flow in self.flows if flow.backend not in members)

    def close(self) -> None:
        """Ends the listener and its flows."""
        if self._server is not None:
            self._server.close()
        self._reset(self.flows)

    def expire(self, now: float) -> None:
        """Ends flows that were idle for too long. Call it every few seconds."""
        limit = self.selector.rule.idle_timeout_minutes * 60
        for flow in list(self.flows):
            if now - flow.last_activity > limit:
                flow.expire(reset=self.selector.rule.tcp_reset)

    def _reset(self, flows: "Iterable[Flow]") -> None:
        for flow in list(flows):
            flow.reset()


class Flow:
    """A client's connection and the one to its VM."""

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
            # Refused: no second try with another VM, the balancer doesn't look into
            # connections.
            self.reset()
            return
        await asyncio.get_running_loop().create_connection(lambda: self.server, sock=sock)

    async def _handshake(self) -> socket.socket:
        """Connects to the VM. Whenever the client's kernel would send its SYN again, chooses a
        VM again."""
        for wait in SYN_WAITS:
            try:
                async with asyncio.timeout(wait):
                    return await self._ask_vm()
            except TimeoutError:
                chosen = self._listener.selector.choose(self.client.address)
                if isinstance(chosen, Refusal):
                    raise ConnectionRefusedError(chosen.reason) from None
                self.backend = chosen
        raise TimeoutError

    async def _ask_vm(self) -> socket.socket:
        """Connects. A missing VM is silent; it does not refuse."""
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
            await loop.create_future()  # the bridge reports it, but Azure stays silent
        except asyncio.CancelledError:
            sock.close()
            raise
        return sock

    def _socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if self._listener.keeps_clients:
            # The kernel chooses the port at connect, per destination, so that ports do not run out.
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((seen_as(self.client.address[0]), 0))
        return sock

    def expire(self, *, reset: bool) -> None:
        """Azure drops an idle flow; without TCP reset, neither side notices.

        Here both sides then get no answers, and are closed after another idle period.
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
        """One side is closed: the other gets the remaining data, or a reset."""
        other = self.server if side is self.client else self.client
        if error is not None:
            other.reset()
        else:
            other.close()
        if other.transport is None or other.transport.is_closing():
            self._listener.flows.discard(self)


class _Side(asyncio.Protocol):
    """One connection of a flow; ``peer`` is the other one, once it exists."""

    transport: asyncio.Transport | None = None
    peer: "_Side | None" = None
    flow: Flow | None = None
    has_finished = False
    """Whether this side has sent everything."""

    def data_received(self, data: bytes) -> None:
        flow, peer = self.flow, self.peer
        if flow is not None and peer is not None and peer.transport is not None:
            flow.last_activity = flow.server.now()
            peer.transport.write(data)

    def eof_received(self) -> bool:
        """Passes on a half-close; True keeps the other direction open."""
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
        """Ends the connection with RST."""
        if self.transport is not None and not self.transport.is_closing():
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()


class _Client(_Side):
    """The accepted connection. Nothing is read from it until the VM is connected."""

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
    """The connection to a VM."""

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
