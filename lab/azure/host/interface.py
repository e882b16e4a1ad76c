"""What the lab's cloud needs of the machine it runs on: networks, and containers as machines.

The Docker implementation is in docker_host.py; unit tests have one in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Network:
    """A virtual network's bridge."""

    name: str
    resource_id: str
    cidr: str
    gateway: str
    own_address: str
    """Where the cloud itself sits in this network."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    lun: int
    gigabytes: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Everything needed to make a machine's container."""

    name: str
    resource_id: str
    host_name: str
    network: str
    address: str
    disks: tuple[Disk, ...]
    files: Mapping[str, bytes]
    """Absolute path → content, put in place before the first start."""


@dataclass(frozen=True, kw_only=True)
class MachineState:
    name: str
    resource_id: str
    running: bool
    status: str
    """In Docker's words: ``Exited (137) 3 seconds ago``."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that ran in a machine."""

    code: int
    output: str


class NetworkOverlap(Exception):
    """The address range is taken on this host; the message says by what."""


class Host(Protocol):
    """All operations can be repeated: creating what exists and removing what is gone are fine."""

    async def create_network(self, network: Network) -> None: ...

    async def remove_network(self, name: str) -> None: ...

    async def create_machine(self, machine: Machine) -> None: ...

    async def start_machine(self, name: str) -> None: ...

    async def stop_machine(self, name: str, *, grace: int) -> None:
        """Shuts down; after ``grace`` seconds, or at once if that is 0, pulls the plug."""

    async def remove_machine(self, name: str, *, keep_disks: bool) -> None: ...

    async def machines(self) -> Sequence[MachineState]: ...

    async def write_files(self, name: str, files: Mapping[str, bytes]) -> None: ...

    async def run(self, name: str, command: Sequence[str]) -> Finished: ...
