"""Networks and VMs as Docker objects. The only module of the simulated Azure that uses Docker.

A VM's container boots systemd without privileged mode. Every object has the lab's label, so that
leftovers of an interrupted run can be found.
"""

import asyncio
import io
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool, LogConfig

from lab.azure.host.interface import Finished, Network, NetworkOverlap, VmContainer, VmState
from lab.azure.host.platform_addresses import PLATFORM

LABEL = "fleet-azure.lab"
RESOURCE_LABEL = f"{LABEL}.resource"
OWNER_LABEL = f"{LABEL}.cloud"
"""The lab that created the object: two labs on one host ignore each other's VMs."""

# systemd 257 needs this twice to accept cgroup v1; on cgroup v2 it has no effect.
_LEGACY_CGROUP = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
# systemd's signal for an orderly shutdown.
_POWER_BUTTON = "SIGRTMIN+3"
_DOCKER_DATA = "/var/lib/docker"
_DISKS = "/var/lib/lab-disks"


class DockerHost:
    """``image`` is the VMs' image, ``container`` the container of this process."""

    def __init__(self, client: docker.DockerClient, *, image: str, container: str) -> None:
        self._client = client
        self._image = image
        self._container = container

    async def create_network(self, network: Network) -> None:
        await asyncio.to_thread(self._create_network, network)

    async def remove_network(self, name: str) -> None:
        await asyncio.to_thread(self._remove_network, name)

    async def create_vm(self, vm: VmContainer) -> None:
        await asyncio.to_thread(self._create_vm, vm)

    async def start_vm(self, name: str) -> None:
        await asyncio.to_thread(lambda: self._client.containers.get(name).start())

    async def stop_vm(self, name: str, *, grace: int) -> None:
        await asyncio.to_thread(self._stop_vm, name, grace)

    async def remove_vm(self, name: str, *, keep_disks: bool) -> None:
        await asyncio.to_thread(self._remove_vm, name, keep_disks)

    async def vms(self) -> Sequence[VmState]:
        return await asyncio.to_thread(self._vms)

    async def write_files(self, name: str, files: Mapping[str, bytes]) -> None:
        await asyncio.to_thread(
            lambda: self._client.containers.get(name).put_archive("/", _archive(files))
        )

    async def run(self, name: str, command: Sequence[str]) -> Finished:
        return await asyncio.to_thread(self._run, name, command)

    def _create_network(self, network: Network) -> None:
        if not self._has_network(network):
            self._remove_network(network.name)
            pool = IPAMPool(subnet=network.cidr, gateway=network.gateway)
            try:
                self._client.networks.create(
                    network.name,
                    driver="bridge",
                    ipam=IPAMConfig(pool_configs=[pool]),
                    labels=self._labels(network.resource_id),
                )
            except APIError as error:
                if "overlap" in str(error.explanation).lower():
                    raise NetworkOverlap(self._owner_of(network.cidr)) from error
                raise
        self._join(network)

    def _has_network(self, network: Network) -> bool:
        """Whether it exists with this range. A lost lab may have left one with another range."""
        for found in self._client.networks.list(names=[f"^{network.name}$"]):
            if found.attrs["Labels"].get(OWNER_LABEL) != self._container:
                raise NetworkOverlap(f"the Docker network {network.name} belongs to another lab")
            if found.attrs["IPAM"]["Config"][0]["Subnet"] == network.cidr:
                return True
        return False

    def _join(self, network: Network) -> None:
        """Connects this process to the network, where VMs reach the platform's addresses."""
        here = self._client.containers.get(self._container)
        joined = here.attrs["NetworkSettings"]["Networks"]
        if network.name not in joined:
            self._client.networks.get(network.name).connect(here, ipv4_address=network.own_address)

    def _owner_of(self, cidr: str) -> str:
        taken = {
            pool.get("Subnet"): each.name
            for each in self._client.networks.list()
            for pool in each.attrs["IPAM"]["Config"] or []
        }
        listed = ", ".join(f"{name} {subnet}" for subnet, name in sorted(taken.items()))
        return f"{cidr} overlaps a network of this host (Docker has: {listed})"

    def _remove_network(self, name: str) -> None:
        for network in self._client.networks.list(names=[f"^{name}$"]):
            network.reload()
            for member in network.attrs["Containers"]:
                network.disconnect(member, force=True)
            network.remove()

    def _create_vm(self, vm: VmContainer) -> None:
        existing = self._find(vm.name)
        if existing is not None:
            if existing.labels.get(RESOURCE_LABEL) != vm.resource_id:
                raise RuntimeError(f"the container name {vm.name} is taken")
            return
        volumes = {self._volume(vm, "docker"): {"bind": _DOCKER_DATA, "mode": "rw"}}
        if vm.disks:
            disks = self._volume(vm, "disks")
            volumes[disks] = {"bind": _DISKS, "mode": "rw"}
            self._make_disks(vm, disks)
        container = self._client.containers.create(
            self._image,
            ["/sbin/init", _LEGACY_CGROUP],
            name=vm.name,
            hostname=vm.host_name,
            labels=self._labels(vm.resource_id),
            environment={"container": "docker", "SYSTEMD_PROC_CMDLINE": _LEGACY_CGROUP},
            cap_add=["ALL"],
            cap_drop=["SYS_RESOURCE"],
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            cgroupns="private",
            tmpfs={"/run": "", "/tmp": ""},
            # loop devices, so that the data disk can be a file in a volume
            device_cgroup_rules=["b 7:* rwm", "c 10:237 rwm"],
            dns=[PLATFORM],
            stop_signal=_POWER_BUTTON,
            volumes=volumes,
            log_config=LogConfig(type="json-file", config={"max-size": "5m", "max-file": "1"}),
            network=vm.network,
            networking_config={
                vm.network: self._client.api.create_endpoint_config(ipv4_address=vm.address)
            },
        )
        container.put_archive("/", _archive(vm.files))

    def _volume(self, vm: VmContainer, purpose: str) -> str:
        volume = self._client.volumes.create(
            f"{vm.name}-{purpose}", labels=self._labels(vm.resource_id)
        )
        return str(volume.name)

    def _make_disks(self, vm: VmContainer, volume: str) -> None:
        """Creates missing disks as sparse files: a reimaged VM keeps its disks."""
        make = " && ".join(
            f"{{ test -e /disks/lun{disk.lun}.img || "
            f"truncate -s {disk.gigabytes}G /disks/lun{disk.lun}.img; }}"
            for disk in vm.disks
        )
        maker = _disk_maker(vm.name)
        self._remove_container(maker)
        self._client.containers.run(
            self._image,
            ["/bin/sh", "-c", make],
            name=maker,
            remove=True,
            network_mode="none",
            labels={LABEL: "1", OWNER_LABEL: self._container},
            volumes={volume: {"bind": "/disks", "mode": "rw"}},
        )

    def _stop_vm(self, name: str, grace: int) -> None:
        container = self._find(name)
        if container is None or container.status != "running":
            return
        if grace:
            container.stop(timeout=grace)
        else:
            container.kill()
            container.wait()

    def _remove_vm(self, name: str, keep_disks: bool) -> None:
        self._remove_container(name)
        self._remove_container(_disk_maker(name))  # left by an interrupted creation
        self._remove_volume(f"{name}-docker")
        if not keep_disks:
            self._remove_volume(f"{name}-disks")

    def _remove_container(self, name: str) -> None:
        container = self._find(name)
        if container is not None:
            container.remove(force=True, v=True)

    def _remove_volume(self, name: str) -> None:
        try:
            self._client.volumes.get(name).remove()
        except NotFound:
            return

    def _vms(self) -> Sequence[VmState]:
        own = [RESOURCE_LABEL, f"{OWNER_LABEL}={self._container}"]
        # The high-level call inspects every container, and this runs often.
        listed = self._client.api.containers(all=True, filters={"label": own})
        return [
            VmState(
                name=each["Names"][0].lstrip("/"),
                resource_id=each["Labels"][RESOURCE_LABEL],
                running=each["State"] == "running",
                status=each["Status"],
            )
            for each in listed
        ]

    def _run(self, name: str, command: Sequence[str]) -> Finished:
        result = self._client.containers.get(name).exec_run(list(command))
        assert isinstance(result.output, bytes), "not streamed"
        assert result.exit_code is not None, "not detached"
        return Finished(code=result.exit_code, output=result.output.decode(errors="replace"))

    def _labels(self, resource_id: str) -> dict[str, str]:
        return {LABEL: "1", RESOURCE_LABEL: resource_id, OWNER_LABEL: self._container}

    def _find(self, name: str) -> Container | None:
        try:
            return self._client.containers.get(name)
        except NotFound:
            return None


def _disk_maker(vm: str) -> str:
    return f"{vm}-disk-maker"


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A tar of files that only root can read: they may contain secrets."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(content)
            member.mode = 0o644 if path.endswith(".crt") else 0o600
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def connect() -> Any:
    """The Docker daemon behind the socket that is mounted into this container."""
    return docker.DockerClient(base_url="unix:///var/run/docker.sock", timeout=120)
