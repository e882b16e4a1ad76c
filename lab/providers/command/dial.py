"""Dialling: the real plugin's retries, pauses, messages and error texts.

With a limit of N failed dials there are N+1 dials. Without a proxy, each is a new connection, and
all errors count: refused, not authorised, wrong host key. Deadline and Ctrl-C are checked only
between dials.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import asyncssh

from lab.providers.command import gotext
from lab.providers.command.connection import Connection, Endpoint
from lab.providers.command.errors import CommandError
from lab.providers.command.login import Login, LoginClient, prepare
from lab.providers.command.operation import Operation

# sdk/go/common/util/retry: DefaultDelay, DefaultBackoff, DefaultMaxDelay
_FIRST_PAUSE = 0.1
_BACKOFF = 1.5
_LONGEST_PAUSE = 5.0

# How long a handshake may take after the operation's time is over before it counts as hung.
_HANDSHAKE_GRACE = 15.0

# As Go's net package sets them. Keep-alives end a command whose host has vanished after two and a
# half minutes.
_SOCKET_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 9),
)

_CHANNEL_REFUSALS = {
    1: "administratively prohibited",
    2: "connect failed",
    3: "unknown channel type",
    4: "resource shortage",
}

_Result = TypeVar("_Result")


class DialError(Exception):
    """One failed dial, which may be tried again."""


@contextlib.asynccontextmanager
async def dialled(
    connection: Connection, operation: Operation
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection that is logged in, for the body of an `async with`."""
    async with contextlib.AsyncExitStack() as closing:
        yield await _dial(connection, operation, closing)


async def _dial(
    connection: Connection, operation: Operation, closing: contextlib.AsyncExitStack
) -> asyncssh.SSHClientConnection:
    login = await prepare(connection)
    limit = connection.dial_error_limit
    if connection.proxy is None:
        ssh = await retried("Dial", limit, operation, lambda: _connect(login, operation))
        closing.push_async_callback(_close, ssh)
        return ssh
    try:
        proxy_login = await prepare(connection.proxy)
        proxy_limit = connection.proxy.dial_error_limit
        proxy = await retried(
            "Dial proxy", proxy_limit, operation, lambda: _connect(proxy_login, operation)
        )
        closing.push_async_callback(_close, proxy)
        hop = await retried(
            "Dial from proxy", limit, operation, lambda: _hop(proxy, login, operation)
        )
        ssh = await retried("Dial", limit, operation, hop)
        closing.push_async_callback(_close, ssh)
    except CommandError as error:
        raise CommandError(f"proxy: {error}", error.code) from error
    return ssh


async def retried(
    what: str, limit: int, operation: Operation, attempt: Callable[[], Awaitable[_Result]]
) -> _Result:
    """Try until it works, the limit is exceeded, or the operation ends between two tries."""
    pause = _FIRST_PAUSE
    for failed in itertools.count(1):
        try:
            return await attempt()
        except DialError as error:
            if -1 < limit < failed:
                raise CommandError(f"after {failed - 1} failed attempts: {error}") from error
        await operation.status(f"{what} {failed}/{_shown(limit)} failed: retrying")
        await operation.rest(pause)
        pause = min(pause * _BACKOFF, _LONGEST_PAUSE)
    raise AssertionError("unreachable: the loop does not end")


def _shown(limit: int) -> str:
    return "inf" if limit == -1 else str(limit)


async def _close(ssh: asyncssh.SSHClientConnection) -> None:
    ssh.close()
    await ssh.wait_closed()


async def _connect(login: Login, operation: Operation) -> asyncssh.SSHClientConnection:
    sock = await tcp_connection(login.endpoint)
    client = login.client()
    # With host and port, asyncssh does not ask the socket for its peer. That fails if the peer has
    # closed already, as a load balancer without a healthy VM does.
    handshake = asyncssh.connect(
        login.endpoint.host,
        login.endpoint.port,
        sock=sock,
        client_factory=lambda: client,
        **login.options(),
    )
    return await _handshake(handshake, client, login, operation)


async def _hop(
    proxy: asyncssh.SSHClientConnection, login: Login, operation: Operation
) -> Callable[[], Awaitable[asyncssh.SSHClientConnection]]:
    """Connect from the jump host, and return the function that does the SSH handshake.

    Raises DialError if the jump host cannot connect. The handshake works once: after a failure the
    same dead connection is tried again, as in the real plugin.
    """
    endpoint, client = login.endpoint, login.client()
    outcome: asyncssh.SSHClientConnection | DialError
    handshake = asyncssh.connect(
        endpoint.host,
        endpoint.port,
        tunnel=proxy,
        client_factory=lambda: client,
        **login.options(),
    )
    try:
        outcome = await _handshake(handshake, client, login, operation)
    except asyncssh.ChannelOpenError as error:
        raise DialError(refusal(error)) from error
    except DialError as error:
        outcome = error

    async def finish() -> asyncssh.SSHClientConnection:
        nonlocal outcome
        result, outcome = outcome, DialError("ssh: handshake failed: EOF")
        if isinstance(result, DialError):
            raise result
        return result

    return finish


def refusal(error: asyncssh.ChannelOpenError) -> str:
    """Go's message for a channel that the server refused."""
    return f"ssh: rejected: {_CHANNEL_REFUSALS.get(error.code, error.code)} ({error.reason})"


async def tcp_connection(endpoint: Endpoint) -> socket.socket:
    """A TCP connection, within the per-dial timeout. Reports the first address's error."""
    loop = asyncio.get_running_loop()
    if not 0 <= endpoint.port <= 0xFFFF:
        raise DialError(f"dial tcp: address {endpoint.port}: invalid port")
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise DialError(f"dial tcp: lookup {endpoint.host}: no such host") from error
    first_error: DialError | None = None
    try:
        async with asyncio.timeout(endpoint.per_dial_timeout or None):
            for family, kind, protocol, _, address in found:
                try:
                    return await _tcp_to(socket.socket(family, kind, protocol), address)
                except OSError as error:
                    reason = f"connect: {gotext.os_error(error)}"
                    first_error = first_error or DialError(f"{_dial_tcp(address)}: {reason}")
    except TimeoutError as error:
        raise DialError(f"{_dial_tcp(found[0][4])}: i/o timeout") from error
    raise first_error or DialError(f"dial tcp: lookup {endpoint.host}: no such host")


async def _tcp_to(sock: socket.socket, address: tuple[object, ...]) -> socket.socket:
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    for level, option, value in _SOCKET_OPTIONS:
        sock.setsockopt(level, option, value)
    return sock


def _dial_tcp(address: tuple[object, ...]) -> str:
    return f"dial tcp {gotext.address(str(address[0]), int(str(address[1])))}"


async def _handshake(
    handshake: Awaitable[asyncssh.SSHClientConnection],
    client: LoginClient,
    login: Login,
    operation: Operation,
) -> asyncssh.SSHClientConnection:
    """Wait for the handshake, which has no timeout of its own."""
    shaking = asyncio.ensure_future(handshake)
    patience = asyncio.create_task(operation.patience(_HANDSHAKE_GRACE))
    try:
        await asyncio.wait({shaking, patience}, return_when=asyncio.FIRST_COMPLETED)
        if not shaking.done():
            raise _hung(login.endpoint, patience.result())
        return shaking.result()
    except asyncssh.ChannelOpenError:
        raise
    except (asyncssh.Error, OSError) as error:
        raise DialError(f"ssh: handshake failed: {_reason(error, client)}") from error
    finally:
        for waiting in (shaking, patience):
            waiting.cancel()


def _hung(endpoint: Endpoint, ended: CommandError) -> CommandError:
    address = gotext.address(endpoint.host, endpoint.port)
    return CommandError(
        f"{ended}: {address} accepts TCP connections but does not finish the SSH handshake. "
        "pulumi-command would hang here forever",
        ended.code,
    )


def _reason(error: asyncssh.Error | OSError, client: LoginClient) -> str:
    match error:
        case asyncssh.PermissionDenied():
            tried = " ".join(client.tried)
            attempted = f"attempted methods [{tried}]"
            return f"ssh: unable to authenticate, {attempted}, no supported methods remain"
        case asyncssh.HostKeyNotVerifiable():
            return "ssh: host key mismatch"
        case asyncssh.KeyExchangeFailed():
            return f"ssh: no common algorithm: {error.reason}".replace(
                "algorithm: Unable to find compatible server host key", "algorithm for host key"
            )
        case asyncssh.ConnectionLost():
            return "EOF"
        case asyncssh.Error():
            return f"ssh: disconnect, reason {error.code}: {error.reason}"
        case _:
            return f"read: {gotext.os_error(error)}"
