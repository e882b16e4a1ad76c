"""Web requests to the services of a stack by their host names, which only we can resolve."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult

from lab.pulumi import sample_secrets
from tests.lab.stack import LabStack

TIMEOUT = 30.0
"""Seconds for a request. Longer than a connection can wait for a stopped node."""
PAUSE = 0.2
"""Seconds between two requests of one visitor."""


class Browser(httpx.Client):
    """A client that keeps cookies and connections, and takes `address` for whatever host it asks.

    It trusts the certificates that the lab made up for the stack, and no others.
    """

    def __init__(self, stack: LabStack, url: str, *, address: str = "", source: str = "") -> None:
        """`url` is where relative ones start; `source` is the loopback address to come from."""
        transport = _Transport(
            verify=trust(stack), local_address=source or None, address=address or stack.public_ip
        )
        super().__init__(base_url=url, transport=transport, trust_env=False, timeout=TIMEOUT)


class _Transport(httpx.HTTPTransport):
    def __init__(self, *, verify: ssl.SSLContext, local_address: str | None, address: str) -> None:
        super().__init__(verify=verify, local_address=local_address)
        self._address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # another request: cookies belong to the host of this one
        moved = httpx.Request(
            request.method,
            request.url.copy_with(host=self._address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return super().handle_request(moved)


class Resolver(AbstractResolver):
    """Every name is one address; for aiohttp."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=self._address, port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


def websockets(stack: LabStack, *, source: str = "") -> aiohttp.ClientSession:
    """A session whose WebSockets reach the stack by its host names."""
    connector = aiohttp.TCPConnector(
        resolver=Resolver(stack.public_ip),
        ssl=trust(stack),
        local_addr=(source, 0) if source else None,
    )
    return aiohttp.ClientSession(connector=connector)


def trust(stack: LabStack) -> ssl.SSLContext:
    """The certificates that the lab made up for a stack."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if file := sample_secrets.certificates_file(stack.name):
        context.load_verify_locations(file)
    for certificate in stack.trusted:
        context.load_verify_locations(cadata=certificate)
    return context


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A request that came to nothing, and when, on the monotonic clock."""

    url: str
    began: float
    ended: float
    what: str

    def was_open(self, since: float, until: float) -> bool:
        """Whether it was open at any moment between these."""
        return self.began <= until and self.ended >= since


@dataclass
class Visits:
    """What steady visitors met."""

    answered: dict[str, int] = field(default_factory=dict)
    """How many requests were answered well, by address."""
    failures: list[Failure] = field(default_factory=list)


@contextmanager
def steady_visits(stack: LabStack, *urls: str) -> Iterator[Visits]:
    """One visitor for each address, five requests a second, every second one on a connection of
    its own, for the length of a block."""
    visits, stop = Visits(), threading.Event()
    with ExitStack() as ending:
        for url in urls:
            visits.answered[url] = 0
            visitor = threading.Thread(target=_visit, args=(stack, url, visits, stop))
            visitor.start()
            ending.callback(visitor.join)
        ending.callback(stop.set)
        yield visits


def _visit(stack: LabStack, url: str, visits: Visits, stop: threading.Event) -> None:
    with Browser(stack, url) as regular:
        while not stop.wait(PAUSE):
            _ask(regular, url, visits)
            with Browser(stack, url) as newcomer:
                _ask(newcomer, url, visits)


def _ask(browser: Browser, url: str, visits: Visits) -> None:
    began = time.monotonic()
    try:
        try:
            answer = browser.get("")
        except httpx.RemoteProtocolError:
            # A kept connection that the server closed while the request was on its way. Clients ask
            # again then, as browsers do: RFC 9112, 9.3.1.
            answer = browser.get("")
    except httpx.HTTPError as error:
        what = repr(error)
    else:
        if answer.status_code == 200:
            visits.answered[url] += 1
            return
        what = f"{answer.status_code} {answer.text[:80]}"
    visits.failures.append(Failure(url=url, began=began, ended=time.monotonic(), what=what))
