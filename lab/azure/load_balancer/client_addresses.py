"""The addresses that VMs see as clients' addresses.

Azure's load balancer keeps a client's address in the packet, and routers distinguish clients by it.
In the lab all clients have loopback addresses, which a VM cannot answer. So each client gets an
address of 198.18.0.0/15 (RFC 2544: for tests, never routed), which is local to the host while the
balancer runs.
"""

import asyncio
import logging
from ipaddress import IPv4Address, IPv4Network

LOG = logging.getLogger(__name__)

CLIENTS = IPv4Network("198.18.0.0/15")
"""Traffic from these addresses has passed the security groups already."""

_ROUTE = ("local", str(CLIENTS), "dev", "lo")


def seen_as(client: str) -> str:
    """The address that VMs see for a client: always the same, and different for neighbours."""
    low = int(IPv4Address(client)) & int(CLIENTS.hostmask)
    return str(CLIENTS.network_address + low)


async def claim() -> bool:
    """Makes the range local to this host. Where that is forbidden, logs it and returns False."""
    failure = await _ip("route", "replace", *_ROUTE)
    if failure:
        LOG.warning("VMs see the bridge's address for every client: %s", failure)
    return not failure


async def release() -> None:
    """Undoes `claim`."""
    failure = await _ip("route", "delete", *_ROUTE)
    if failure:
        LOG.warning("the route for %s stays: %s", CLIENTS, failure)


async def _ip(*arguments: str) -> str:
    """Runs ip(8); returns its error, or nothing if it succeeded."""
    try:
        process = await asyncio.create_subprocess_exec(
            "ip", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except FileNotFoundError:
        return "there is no ip command"
    output, _ = await process.communicate()
    text = output.decode(errors="replace").strip()
    return text or f"exit code {process.returncode}" if process.returncode else ""
