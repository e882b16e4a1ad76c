"""The host ports that a node assigns to containers: by its counter, or as docker would."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

FIRST, LAST = 32768, 60999


class Ports(Protocol):
    """The ports of one node."""

    def next(self, in_use: Collection[int]) -> int:
        """A port for a container that starts."""

    def docker_starts(self) -> None:
        """docker's daemon starts, also at a boot."""


class CountedPorts:
    """A counter on the node's disk: it continues after a boot and wraps at the range's end."""

    def __init__(self, first: int = FIRST) -> None:
        self._next = first

    def next(self, in_use: Collection[int]) -> int:
        while True:
            port = self._next
            self._next = FIRST if port == LAST else port + 1
            if port not in in_use:
                return port

    def docker_starts(self) -> None:
        """The counter continues."""


class DockersPorts(CountedPorts):
    """docker's allocator: it starts again with the daemon (moby, portallocator.go)."""

    def docker_starts(self) -> None:
        self._next = FIRST
