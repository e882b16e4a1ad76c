"""What the keys below /services must look like, so that the template can rely on it.

etcd holds what any program wrote there. One broken value must cost its own service only, so every
value is checked here before confd renders it into a configuration that all services share.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from router.lives import Life

# RFC 1123, with an optional wildcard as nginx takes it in server_name.
_HOST = re.compile(
    r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
# <release>-<n>: it becomes part of nginx's configuration, and of a cookie
_INSTANCE_NAME = re.compile(r"[a-z0-9]+-(?P<n>[0-9]+)")


class Malformed(Exception):
    """A value that the router can't use; the text says what is wrong with it."""


@dataclass(kw_only=True, frozen=True)
class Route:
    """How clients reach a service."""

    hosts: tuple[str, ...] = ()
    http: bool = False
    is_default_site: bool = False  # it takes the requests for hosts that no service names
    sticky: bool = False
    https_redirect: bool = False
    underscore_headers: bool = False
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()


@dataclass(kw_only=True, frozen=True)
class Instance:
    """Where one instance of a service answers: `ip:port` by protocol and public port."""

    http: str | None = None
    tcp: Mapping[int, str] = field(default_factory=dict)
    udp: Mapping[int, str] = field(default_factory=dict)
    node: str = ""
    life: Life = field(default_factory=Life)  # of that node, when the instance was announced

    @property
    def endpoints(self) -> frozenset[tuple[str, str]]:
        """Every `ip:port` with its transport protocol."""
        tcp = {("tcp", address) for address in (self.http, *self.tcp.values()) if address}
        return frozenset(tcp | {("udp", address) for address in self.udp.values()})


def parse_route(text: str) -> Route:
    """Raises Malformed."""
    value = _object(text)
    for flag in ("http", "sticky", "https_redirect", "underscore_headers"):
        if not isinstance(value.get(flag, False), bool):
            raise Malformed(f"{flag} must be true or false")
    for word in ("health", "customer"):
        _text(word, value)
    hosts, http = parse_hosts(value), value.get("http", False)
    return Route(
        hosts=hosts,
        http=http,
        is_default_site=http and not hosts,
        sticky=value.get("sticky", False),
        https_redirect=value.get("https_redirect", False),
        underscore_headers=value.get("underscore_headers", False),
        tcp=_ports("tcp", value.get("tcp")),
        udp=_ports("udp", value.get("udp")),
    )


def parse_hosts(value: Mapping[str, Any]) -> tuple[str, ...]:
    """The `hosts` of a route or a certificate, none if it names none. Raises Malformed."""
    hosts = value.get("hosts", [])
    if not isinstance(hosts, list):
        raise Malformed("hosts must be a list")
    for host in hosts:
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise Malformed(f"{host!r} is not a host name")
    return tuple(hosts)


def number_of(name: str) -> int:
    """Which of its release's instances it is. Raises Malformed."""
    match = _INSTANCE_NAME.fullmatch(name)
    if match is None:
        raise Malformed(f"{name!r} is not the name of an instance, <release>-<n>")
    return int(match["n"])


def parse_instance(text: str) -> Instance:
    """Raises Malformed."""
    value = _object(text)
    http = value.get("http")
    return Instance(
        http=None if http is None else _address("http", http),
        tcp=_addresses("tcp", value.get("tcp")),
        udp=_addresses("udp", value.get("udp")),
        node=_text("node", value),
        life=Life(boot=_text("boot", value), docker=_text("docker", value)),
    )


def _text(name: str, value: Mapping[str, Any]) -> str:
    text = value.get(name)
    if not isinstance(text, str | None):
        raise Malformed(f"{name} must be text or null")
    return text or ""


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value


def _ports(protocol: str, value: object) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Malformed(f"{protocol} must be a list")
    ports: list[int] = []
    for entry in value:
        port = entry.get("port") if isinstance(entry, dict) else None
        if not isinstance(port, int) or not _is_port(port):
            raise Malformed(f"{protocol}: {entry!r} has no port between 1 and 65535")
        ports.append(port)
    return tuple(ports)


def _addresses(protocol: str, value: object) -> dict[int, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{protocol} must be an object")
    addresses = {}
    for port, address in value.items():
        # "080" would be another key for the template than for us
        if not port.isascii() or not port.isdecimal() or str(int(port)) != port:
            raise Malformed(f"{protocol}: {port!r} is not a port")
        addresses[int(port)] = _address(protocol, address)
    return addresses


def _address(protocol: str, value: object) -> str:
    if isinstance(value, str):
        host, _, port = value.rpartition(":")
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            pass
        else:
            if port.isascii() and port.isdecimal() and _is_port(int(port)):
                return value
    raise Malformed(f"{protocol}: {value!r} is not an IPv4 address with a port")


def _is_port(value: int) -> bool:
    return not isinstance(value, bool) and 0 < value < 65536
