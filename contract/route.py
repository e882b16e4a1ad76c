"""A route: how clients reach a service. The rollout writes it, routers serve by it.

The router renders it into a configuration that all services share, so every value is checked.
"""

from __future__ import annotations

from dataclasses import dataclass

from contract.codec import Malformed
from contract.host import check_host


@dataclass(kw_only=True, frozen=True)
class PublicPort:
    """A TCP or UDP port on which clients reach a service."""

    port: int

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise Malformed(f"{self.port} is not a port between 1 and 65535")


@dataclass(kw_only=True, frozen=True)
class Route:
    """With `http` and without hosts it is the default site, for hosts that no service names."""

    hosts: tuple[str, ...] = ()
    http: bool = False
    health: str = ""  # the path that answers while the service is well
    tcp: tuple[PublicPort, ...] = ()
    udp: tuple[PublicPort, ...] = ()
    sticky: bool = False
    https_redirect: bool = False
    underscore_headers: bool = False
    customer: str | None = None

    def __post_init__(self) -> None:
        for host in self.hosts:
            check_host(host)
