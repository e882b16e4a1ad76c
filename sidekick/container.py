"""What docker's description of a container says about an instance. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.registration import Registration


class NotServing(Exception):
    """The instance has no container that could serve; the text says why."""


@dataclass(kw_only=True, frozen=True)
class Container:
    """A running container of an instance."""

    pid: int
    http: str | None  # ip:port on the node
    tcp: Mapping[int, str]  # port in the container → ip:port on the node
    udp: Mapping[int, str]
    probe: str  # ip:port of the checked port; empty: none is checked


def read_container(
    inspected: Mapping[str, Any], registration: Registration, node_ip: str
) -> Container:
    """The container in docker's description. Raises NotServing."""
    state = inspected["State"]
    if not state["Running"]:
        raise NotServing(
            f"container {registration.container} ended with exit code {state['ExitCode']}"
        )
    published = inspected["NetworkSettings"]["Ports"]

    def address(port: int, protocol: str) -> str:
        bindings = published.get(f"{port}/{protocol}") or []
        if not bindings:
            raise NotServing(f"port {port}/{protocol} is not published")
        return f"{node_ip}:{bindings[0]['HostPort']}"

    checked = registration.health.port
    return Container(
        pid=state["Pid"],
        http=address(registration.http, "tcp") if registration.http else None,
        tcp={port: address(port, "tcp") for port in registration.tcp},
        udp={port: address(port, "udp") for port in registration.udp},
        probe=address(checked, "tcp") if checked else "",
    )
