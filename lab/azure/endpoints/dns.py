"""The name server on 168.63.129.16. It resolves the simulated Azure's names only.

For an unknown name it answers NXDOMAIN and forwards nothing: what a VM can reach must not depend on
the laptop's network. It reads the store for each question.
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
from lab.azure.compute.vm_records import vms
from lab.azure.endpoints.callers import Callers
from lab.azure.host.platform_addresses import PLATFORM
from lab.azure.keyvault.resource_types import VAULT, VAULT_SUFFIX
from lab.azure.network.resource_types import PUBLIC_ADDRESS
from lab.azure.storage.resource_types import ACCOUNT, STORAGE_SUFFIX

TTL = 10
"""Seconds. Short, because accounts come and go while a VM runs."""

Resolve = Callable[[str, str], str | None]


class Names:
    """The names' addresses, as a caller may see them."""

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
        """A VM's name resolves only inside its virtual network."""
        me = self._callers.vm_at(asker)
        if me is None:
            return None
        for vm in vms(self._store):
            if vm.computer_name.lower() == name and _network(vm.subnet) == _network(me.subnet):
                return vm.address
        return None


def answer(query: bytes, asker: str, resolve: Resolve) -> bytes:
    """The answer to a DNS message. For other types than A, a known name gets an empty NOERROR."""
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
            # Not a DNS message. To answer it would make this an amplifier.
            return


async def serve(
    resolve: Resolve, datagrams: socket.socket, stream: socket.socket
) -> Callable[[], None]:
    """Serves a UDP and a TCP socket, both bound. Returns the function that stops both."""
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
    """TCP: messages, each after its length, until the client closes."""
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
