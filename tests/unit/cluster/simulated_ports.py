"""The host ports that a node gives to containers, as nodes do now and as docker did."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

FIRST, LAST = 32768, 60999


class Ports(Protocol):
    """One node's."""

    def next(self, in_use: Collection[int]) -> int:
        """A port for a container that starts."""

    def docker_starts(self) -> None:
        """At a boot, too."""


class CountedPorts:
    """A counter on the node's disk: it goes on after a boot, and wraps after the whole range."""

    def __init__(self, first: int = FIRST) -> None:
        self._next = first

    def next(self, in_use: Collection[int]) -> int:
        while True:
            port = self._next
            self._next = FIRST if port == LAST else port + 1
            if port not in in_use:
                return port

    def docker_starts(self) -> None:
        """It does not matter."""


class DockersPorts(CountedPorts):
    """docker's own: it begins anew with each start of the daemon (moby, portallocator.go)."""

    def docker_starts(self) -> None:
        self._next = FIRST
