"""Networks and machines as Docker objects. The only module of the cloud that talks to Docker.

A machine's container boots systemd without privileged mode. Every object carries the lab's
label, so that what an interrupted run leaves behind can be found.
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

from lab.azure.host.interface import Finished, Machine, MachineState, Network, NetworkOverlap
from lab.azure.platform_addresses import PLATFORM

LABEL = "fleet-azure.lab"
RESOURCE_LABEL = f"{LABEL}.resource"
OWNER_LABEL = f"{LABEL}.cloud"
"""Which cloud made it: two labs on one host leave each other's machines alone."""

# systemd 257 wants to be told, twice, that cgroup v1 is fine; on cgroup v2 this has no effect.
_LEGACY_CGROUP = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
# systemd's signal for an orderly shutdown.
_POWER_BUTTON = "SIGRTMIN+3"
_DOCKER_DATA = "/var/lib/docker"
_DISKS = "/var/lib/lab-disks"


class DockerHost:
    """``image`` is the machine image; ``container`` is the one this process runs in."""

    def __init__(self, client: docker.DockerClient, *, image: str, container: str) -> None:
        self._client = client
        self._image = image
        self._container = container

    async def create_network(self, network: Network) -> None:
        await asyncio.to_thread(self._create_network, network)

    async def remove_network(self, name: str) -> None:
        await asyncio.to_thread(self._remove_network, name)

    async def create_machine(self, machine: Machine) -> None:
        await asyncio.to_thread(self._create_machine, machine)

    async def start_machine(self, name: str) -> None:
        await asyncio.to_thread(lambda: self._client.containers.get(name).start())

    async def stop_machine(self, name: str, *, grace: int) -> None:
        await asyncio.to_thread(self._stop_machine, name, grace)

    async def remove_machine(self, name: str, *, keep_disks: bool) -> None:
        await asyncio.to_thread(self._remove_machine, name, keep_disks)

    async def machines(self) -> Sequence[MachineState]:
        return await asyncio.to_thread(self._machines)

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
        """Whether it is there as wanted; one of the same name is left from a lab that was lost."""
        for found in self._client.networks.list(names=[f"^{network.name}$"]):
            if found.attrs["Labels"].get(OWNER_LABEL) != self._container:
                raise NetworkOverlap(f"the Docker network {network.name} is somebody else's")
            if found.attrs["IPAM"]["Config"][0]["Subnet"] == network.cidr:
                return True
        return False

    def _join(self, network: Network) -> None:
        """Puts this process into the network, where machines look for the fabric's addresses."""
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

    def _create_machine(self, machine: Machine) -> None:
        existing = self._find(machine.name)
        if existing is not None:
            if existing.labels.get(RESOURCE_LABEL) != machine.resource_id:
                raise RuntimeError(f"the container name {machine.name} is taken")
            return
        volumes = {self._volume(machine, "docker"): {"bind": _DOCKER_DATA, "mode": "rw"}}
        if machine.disks:
            disks = self._volume(machine, "disks")
            volumes[disks] = {"bind": _DISKS, "mode": "rw"}
            self._make_disks(machine, disks)
        container = self._client.containers.create(
            self._image,
            ["/sbin/init", _LEGACY_CGROUP],
            name=machine.name,
            hostname=machine.host_name,
            labels=self._labels(machine.resource_id),
            environment={"container": "docker", "SYSTEMD_PROC_CMDLINE": _LEGACY_CGROUP},
            cap_add=["ALL"],
            cap_drop=["SYS_RESOURCE"],
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            cgroupns="private",
            tmpfs={"/run": "", "/tmp": ""},
            # loop devices, so that a file in a volume can be the data disk
            device_cgroup_rules=["b 7:* rwm", "c 10:237 rwm"],
            dns=[PLATFORM],
            stop_signal=_POWER_BUTTON,
            volumes=volumes,
            log_config=LogConfig(type="json-file", config={"max-size": "5m", "max-file": "1"}),
            network=machine.network,
            networking_config={
                machine.network: self._client.api.create_endpoint_config(
                    ipv4_address=machine.address
                )
            },
        )
        container.put_archive("/", _archive(machine.files))

    def _volume(self, machine: Machine, purpose: str) -> str:
        volume = self._client.volumes.create(
            f"{machine.name}-{purpose}", labels=self._labels(machine.resource_id)
        )
        return str(volume.name)

    def _make_disks(self, machine: Machine, volume: str) -> None:
        """Sparse files, made once: a reimaged machine finds its old disks."""
        make = " && ".join(
            f"{{ test -e /disks/lun{disk.lun}.img || "
            f"truncate -s {disk.gigabytes}G /disks/lun{disk.lun}.img; }}"
            for disk in machine.disks
        )
        maker = _disk_maker(machine.name)
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

    def _stop_machine(self, name: str, grace: int) -> None:
        container = self._find(name)
        if container is None or container.status != "running":
            return
        if grace:
            container.stop(timeout=grace)
        else:
            container.kill()
            container.wait()

    def _remove_machine(self, name: str, keep_disks: bool) -> None:
        self._remove_container(name)
        self._remove_container(_disk_maker(name))  # of a creation that died in its middle
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

    def _machines(self) -> Sequence[MachineState]:
        own = [RESOURCE_LABEL, f"{OWNER_LABEL}={self._container}"]
        # The low-level call: the other one inspects every container, and this is asked often.
        listed = self._client.api.containers(all=True, filters={"label": own})
        return [
            MachineState(
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


def _disk_maker(machine: str) -> str:
    return f"{machine}-disk-maker"


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A tar of root-owned files; what is in them may be secret, so only root reads them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(content)
            member.mode = 0o644 if path.endswith(".crt") else 0o600
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def connect() -> Any:
    """The Docker daemon whose socket this process was given."""
    return docker.DockerClient(base_url="unix:///var/run/docker.sock", timeout=120)
