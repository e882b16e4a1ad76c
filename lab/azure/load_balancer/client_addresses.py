"""The addresses by which machines see clients.

Azure's balancer leaves a client's address in the packet; routers tell clients apart by it. Here all
clients have loopback addresses, which mean nothing to a machine. So each gets one of its own from
198.18.0.0/15 (RFC 2544: for tests, routed nowhere), which the host takes for local while the
balancer runs.
"""

import asyncio
import logging
from ipaddress import IPv4Address, IPv4Network

LOG = logging.getLogger(__name__)

CLIENTS = IPv4Network("198.18.0.0/15")
"""How machines see clients. What comes from here has passed the security groups already."""

_ROUTE = ("local", str(CLIENTS), "dev", "lo")


def seen_as(client: str) -> str:
    """What machines see of a client; the same at any time, different for neighbours."""
    low = int(IPv4Address(client)) & int(CLIENTS.hostmask)
    return str(CLIENTS.network_address + low)


async def claim() -> bool:
    """Makes the range local to this host. False, and said in the log, where that isn't allowed."""
    failure = await _ip("route", "replace", *_ROUTE)
    if failure:
        LOG.warning("machines see every client as the bridge's address: %s", failure)
    return not failure


async def release() -> None:
    """Undoes `claim`."""
    failure = await _ip("route", "delete", *_ROUTE)
    if failure:
        LOG.warning("the route for %s stays: %s", CLIENTS, failure)


async def _ip(*arguments: str) -> str:
    """Runs ip(8); returns what it complains about, nothing if all is well."""
    try:
        process = await asyncio.create_subprocess_exec(
            "ip", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except FileNotFoundError:
        return "there is no ip command"
    output, _ = await process.communicate()
    text = output.decode(errors="replace").strip()
    return text or f"exit code {process.returncode}" if process.returncode else ""
