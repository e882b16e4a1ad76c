"""Simple things of the same machine, measured in the same run: what our figures are compared to.

A node's container without our cloud-config, and one plain container of the example app.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import docker
from docker.types import IPAMConfig, IPAMPool

from bench.memory import working_memory
from bench.report.results import Reference
from lab.azure.compute.provisioning import PROVISIONING
from lab.azure.host.docker_host import DockerHost
from lab.azure.host.interface import VmContainer
from lab.machine.containers import LABEL
from tools import build
from tools.progress import StepFailed

TIMES = 3
PATIENCE = 60.0
NAME = "fleet-lab-bench"
APP_PORT = "8080/tcp"
# Inside the range that the benchmarks' stack has later, so that nothing else can have it.
CIDR, ADDRESS = "10.78.255.0/29", "10.78.255.4"


@dataclass(frozen=True, kw_only=True)
class References:
    boot: Reference
    """Seconds."""
    memory: Reference
    """MiB."""
    container: Reference
    """Seconds."""


def measure(client: docker.DockerClient) -> References:
    """Everything that needs no stack."""
    boots = [_bare_node(client) for _ in range(TIMES)]
    starts = [_plain_container(client) for _ in range(TIMES)]
    return References(
        boot=Reference(
            title="one bare node container until systemd says running",
            value=median(seconds for seconds, _ in boots),
        ),
        memory=Reference(
            title="a bare node container after its boot",
            value=median(memory for _, memory in boots),
        ),
        container=Reference(
            title="one docker run of the app until it answers HTTP", value=median(starts)
        ),
    )


def _bare_node(client: docker.DockerClient) -> tuple[float, float]:
    """Seconds from `docker start` to `running`, and the MiB it has then."""
    host = DockerHost(client, image=build.ensure_image("node"), container=NAME)
    with _network(client):
        asyncio.run(host.create_vm(_machine()))
        try:
            began = time.monotonic()
            asyncio.run(host.start_vm(NAME))
            _wait(lambda: _is_up(client), "the node does not come up")
            seconds = time.monotonic() - began
            return seconds, working_memory(client, NAME)
        finally:
            asyncio.run(host.remove_vm(NAME, keep_disks=False))


def _machine() -> VmContainer:
    """A machine with a user and without anything to do."""
    provisioning = {
        "computerName": "bare",
        "adminUsername": "core",
        "sshPublicKeys": ["# nobody logs in"],
        "privateIp": ADDRESS,
    }
    return VmContainer(
        name=NAME,
        resource_id=NAME,
        host_name="bare",
        network=NAME,
        address=ADDRESS,
        disks=(),
        files={
            f"{PROVISIONING}/ovf.json": json.dumps(provisioning).encode(),
            f"{PROVISIONING}/CustomData": b"#cloud-config\n",
        },
    )


@contextmanager
def _network(client: docker.DockerClient) -> Iterator[None]:
    pools = [IPAMPool(subnet=CIDR)]
    network = client.networks.create(
        NAME, driver="bridge", ipam=IPAMConfig(pool_configs=pools), labels={LABEL: "1"}
    )
    try:
        yield
    finally:
        network.remove()


def _is_up(client: docker.DockerClient) -> bool:
    """True at `running`; a node with a failed unit is none to compare to."""
    answer = client.containers.get(NAME).exec_run(["systemctl", "is-system-running"])
    assert isinstance(answer.output, bytes)
    state = answer.output.decode().strip()
    if state == "degraded":
        raise StepFailed(
            "Booting a bare node",
            why="one of its units failed",
            advice="Start the node's image by hand and look at `systemctl --failed`.",
        )
    return state == "running"


def _plain_container(client: docker.DockerClient) -> float:
    image = build.ensure_image("example-app")
    began = time.monotonic()
    container = client.containers.run(  # type: ignore[call-overload]
        image,
        detach=True,
        name=f"{NAME}-app",
        labels={LABEL: "1"},
        ports={APP_PORT: ("127.0.0.1", None)},
    )
    try:
        container.reload()
        port = int(container.ports[APP_PORT][0]["HostPort"])
        _wait(lambda: _answers(port), "the app does not answer")
        return time.monotonic() - began
    finally:
        container.remove(force=True)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait(condition: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise StepFailed("Measuring a reference", why=why, advice="Look at `docker ps`.")
        time.sleep(0.02)
