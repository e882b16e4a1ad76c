"""A host in memory, whose networks and VMs are only records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.azure.host.interface import Finished, Network, NetworkOverlap, VmContainer, VmState


@dataclass
class FakeVm:
    vm: VmContainer
    running: bool = False
    starts: int = 0
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class FakeHost:
    """``broken`` are names of VMs that never get provisioned; a disk is known by identity."""

    networks: dict[str, Network] = field(default_factory=dict)
    containers: dict[str, FakeVm] = field(default_factory=dict)
    disks: dict[str, object] = field(default_factory=dict)
    taken_ranges: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    commands: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def create_network(self, network: Network) -> None:
        if network.cidr in self.taken_ranges:
            raise NetworkOverlap(f"{network.cidr} overlaps a network of this host")
        self.networks[network.name] = network

    async def remove_network(self, name: str) -> None:
        self.networks.pop(name, None)

    async def create_vm(self, vm: VmContainer) -> None:
        for disk in vm.disks:
            self.disks.setdefault(f"{vm.name}/{disk.lun}", object())
        self.containers[vm.name] = FakeVm(vm)

    async def start_vm(self, name: str) -> None:
        self.containers[name].running = True
        self.containers[name].starts += 1

    async def stop_vm(self, name: str, *, grace: int) -> None:
        assert grace >= 0
        if name in self.containers:
            self.containers[name].running = False

    async def remove_vm(self, name: str, *, keep_disks: bool) -> None:
        self.containers.pop(name, None)
        if not keep_disks:
            for disk in [disk for disk in self.disks if disk.startswith(f"{name}/")]:
                del self.disks[disk]

    async def vms(self) -> Sequence[VmState]:
        return [
            VmState(
                name=name,
                resource_id=each.vm.resource_id,
                running=each.running,
                status="Up" if each.running else "Exited (137)",
            )
            for name, each in self.containers.items()
        ]

    async def write_files(self, name: str, files: Mapping[str, bytes]) -> None:
        self.containers[name].files.update(files)

    async def run(self, name: str, command: Sequence[str]) -> Finished:
        self.commands.append((name, tuple(command)))
        provisioned = name not in self.broken
        if command[0] == "test":
            return Finished(code=0 if provisioned else 1, output="")
        return Finished(code=0, output="the VM's last words")

    def running(self) -> list[str]:
        return sorted(name for name, each in self.containers.items() if each.running)
