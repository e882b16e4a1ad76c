"""The announcer's node, and the announcer's access to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clients.etcd.access import Access
from contract.codec import encode
from contract.instance import Instance
from sidekick.container import Container
from sidekick.docker import Docker
from sidekick.journal import Journal


@dataclass(kw_only=True, frozen=True)
class Node:
    """One node."""

    name: str
    ip: str
    life: Path  # the folder with the ids of this boot and of docker's last start
    etcd: Access
    docker: Docker
    journal: Journal
    routers_timeout: float = 10.0  # seconds that a departure waits for routers at the most

    def docker_start(self) -> str:
        """The id of docker's last start."""
        return self._id("docker")

    def value(self, container: Container, docker_start: str) -> str:
        """The value of an instance's key."""
        return encode(
            Instance(
                http=container.http,
                tcp=container.tcp,
                udp=container.udp,
                node=self.name,
                boot=self._id("boot"),
                docker=docker_start,
            )
        )

    def _id(self, name: str) -> str:
        try:
            return (self.life / name).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return ""
