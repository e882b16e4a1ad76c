"""The identity of this instance, from the environment that the unit gives the container."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class Identity:
    service: str
    instance: str
    node: str
    release: str
    host: str


def from_environment(environment: Mapping[str, str]) -> Identity:
    """From SERVICE, INSTANCE, NODE_NAME and RELEASE. Without INSTANCE, the host name is used."""
    host = socket.gethostname()
    return Identity(
        service=environment.get("SERVICE") or "unknown",
        instance=environment.get("INSTANCE") or host,
        node=environment.get("NODE_NAME") or "unknown",
        release=environment.get("RELEASE") or "unknown",
        host=host,
    )
