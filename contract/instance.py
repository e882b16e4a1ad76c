"""An instance's key: where it answers, and on which start of its node. Its sidekick writes it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.codec import Malformed

# <release>-<n>: it becomes part of nginx's configuration, and of a cookie
_NAME = re.compile(r"[a-z0-9]+-(?P<n>[0-9]+)")


@dataclass(kw_only=True, frozen=True)
class Instance:
    """`ip:port` by protocol and public port."""

    http: str | None = None
    tcp: Mapping[int, str] = field(default_factory=dict)
    udp: Mapping[int, str] = field(default_factory=dict)
    node: str = ""
    # ids of the start of the node and of its docker, when the instance was announced; "": unknown
    boot: str = ""
    docker: str = ""

    def __post_init__(self) -> None:
        if self.http is not None:
            _check_address("http", self.http)
        for protocol, addresses in (("tcp", self.tcp), ("udp", self.udp)):
            for address in addresses.values():
                _check_address(protocol, address)

    @property
    def endpoints(self) -> frozenset[tuple[str, str]]:
        """Every `ip:port` with its transport protocol."""
        tcp = {("tcp", address) for address in (self.http, *self.tcp.values()) if address}
        return frozenset(tcp | {("udp", address) for address in self.udp.values()})


def number_of(name: str) -> int:
    """Which of its release's instances `<release>-<n>` is. Raises Malformed."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise Malformed(f"{name!r} is not the name of an instance, <release>-<n>")
    return int(match["n"])


def _check_address(protocol: str, value: str) -> None:
    host, _, port = value.rpartition(":")
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        pass
    else:
        if re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536:
            return
    raise Malformed(f"{protocol}: {value!r} is not an IPv4 address with a port")
