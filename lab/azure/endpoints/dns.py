"""The name server on 168.63.129.16: the names of the lab's cloud, and nothing else.

An unknown name is NXDOMAIN, never forwarded: what a node can reach must not depend on the laptop's
own network. Everything is looked up in the store at the time of the question.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import cast

from dnslib import (  # type: ignore[import-untyped]
    QTYPE,
    RCODE,
    RR,
    A,
    DNSError,
    DNSRecord,
)

from lab.azure.arm.store import Store
from lab.azure.compute.vm_records import instances
from lab.azure.endpoints.callers import Callers
from lab.azure.keyvault.resource_types import VAULT, VAULT_SUFFIX
from lab.azure.network.resource_types import PUBLIC_ADDRESS
from lab.azure.platform_addresses import PLATFORM
from lab.azure.storage.resource_types import ACCOUNT, STORAGE_SUFFIX

TTL = 10
"""Seconds. Short: accounts come and go while a node lives."""

Resolve = Callable[[str, str], str | None]


class Names:
    """Answers `which address has this name, asked from there?`."""

    def __init__(self, store: Store, callers: Callers) -> None:
        self._store = store
        self._callers = callers

    def resolve(self, name: str, asker: str) -> str | None:
        name = name.lower().rstrip(".")
        if name.endswith(STORAGE_SUFFIX):
            return self._platform(ACCOUNT, name.removesuffix(STORAGE_SUFFIX))
        if name.endswith(VAULT_SUFFIX):
            return self._platform(VAULT, name.removesuffix(VAULT_SUFFIX))
        return self._public(name) or self._neighbour(name, asker)

    def _platform(self, token: str, name: str) -> str | None:
        known = any(resource.name.lower() == name for resource in self._store.list(token))
        return PLATFORM if known else None

    def _public(self, name: str) -> str | None:
        for resource in self._store.list(PUBLIC_ADDRESS):
            settings = resource.outputs.get("dnsSettings") or {}
            if str(settings.get("fqdn", "")).lower() == name:
                return str(resource.outputs["ipAddress"])
        return None

    def _neighbour(self, name: str, asker: str) -> str | None:
        """A machine's name means something only inside its own virtual network."""
        me = self._callers.instance_at(asker)
        if me is None:
            return None
        for instance in instances(self._store):
            if instance.computer_name.lower() == name and _network(instance.subnet) == _network(
                me.subnet
            ):
                return instance.address
        return None


def answer(query: bytes, asker: str, resolve: Resolve) -> bytes:
    """One DNS message for another. A known name without an A question is an empty NOERROR."""
    request = DNSRecord.parse(query)
    reply = request.reply(ra=1, aa=1)
    name, kind = str(request.q.qname), QTYPE[request.q.qtype]
    address = resolve(name, asker)
    if address is None:
        reply.header.rcode = RCODE.NXDOMAIN
    elif kind == "A":
        reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=TTL))
    packed: bytes = reply.pack()
    return packed


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Before Python 3.12 asyncio's own transport is no subclass of DatagramTransport.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        try:
            self._transport.sendto(answer(data, sender[0], self._resolve), sender)
        except DNSError:
            # Not a DNS message: a resolver that answers garbage is an amplifier.
            return


async def serve(
    resolve: Resolve, datagrams: socket.socket, stream: socket.socket
) -> Callable[[], None]:
    """Answers on two bound sockets, UDP and TCP. Returns the function that stops both."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(resolve), sock=datagrams
    )
    server = await asyncio.start_server(
        lambda reader, writer: _conversation(reader, writer, resolve), sock=stream
    )

    def stop() -> None:
        transport.close()
        server.close()

    return stop


async def _conversation(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, resolve: Resolve
) -> None:
    """TCP: messages with a length in front, until the client hangs up."""
    sender = writer.get_extra_info("peername")[0]
    try:
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            message = answer(await reader.readexactly(length), sender, resolve)
            writer.write(struct.pack("!H", len(message)) + message)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, DNSError):
        writer.close()


def _network(subnet: str) -> str:
    return subnet.lower().rsplit("/subnets/", 1)[0]
