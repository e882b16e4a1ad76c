"""What the simulated Azure needs from its host: networks, and containers as VMs.

`docker_host` implements it with Docker; unit tests implement it in memory.
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
    """The address of the simulated Azure in this network."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    lun: int
    gigabytes: int


@dataclass(frozen=True, kw_only=True)
class VmContainer:
    """What the host needs to create a VM's container."""

    name: str
    resource_id: str
    host_name: str
    network: str
    address: str
    disks: tuple[Disk, ...]
    files: Mapping[str, bytes]
    """Absolute path → content, written before the first start."""


@dataclass(frozen=True, kw_only=True)
class VmState:
    name: str
    resource_id: str
    running: bool
    status: str
    """In Docker's words: ``Exited (137) 3 seconds ago``."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The result of a command in a VM."""

    code: int
    output: str


class NetworkOverlap(Exception):
    """The address range is in use on this host; the message names the user."""


class Host(Protocol):
    """Every operation can be repeated: creating twice and removing twice are no errors."""

    async def create_network(self, network: Network) -> None: ...

    async def remove_network(self, name: str) -> None: ...

    async def create_vm(self, vm: VmContainer) -> None: ...

    async def start_vm(self, name: str) -> None: ...

    async def stop_vm(self, name: str, *, grace: int) -> None:
        """Shuts down, and kills after ``grace`` seconds; 0 kills immediately."""

    async def remove_vm(self, name: str, *, keep_disks: bool) -> None: ...

    async def vms(self) -> Sequence[VmState]: ...

    async def write_files(self, name: str, files: Mapping[str, bytes]) -> None: ...

    async def run(self, name: str, command: Sequence[str]) -> Finished: ...
