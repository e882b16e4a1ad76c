"""Baselines: simple things that the same run measures on the same machine, for comparison.

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
from bench.report.results import Baseline
from lab.azure.compute.provisioning import PROVISIONING
from lab.azure.host.docker_host import DockerHost
from lab.azure.host.interface import VmContainer
from lab.machine.containers import LABEL
from lab.machine.waiting import wait_until
from tools import build
from tools.progress import StepFailed

TIMES = 3
PATIENCE = 60.0
NAME = "fleet-lab-bench"
APP_PORT = "8080/tcp"
# inside the address space of the stack that comes later, so no other network uses it
CIDR, ADDRESS = "10.78.255.0/29", "10.78.255.4"


@dataclass(frozen=True, kw_only=True)
class Baselines:
    boot: Baseline
    """Seconds."""
    memory: Baseline
    """MiB."""
    container: Baseline
    """Seconds."""


def measure(client: docker.DockerClient) -> Baselines:
    """Measure what needs no stack."""
    boots = [_bare_node(client) for _ in range(TIMES)]
    starts = [_plain_container(client) for _ in range(TIMES)]
    return Baselines(
        boot=Baseline(
            title="one bare node container until systemd says running",
            value=median(seconds for seconds, _ in boots),
        ),
        memory=Baseline(
            title="a bare node container after its boot",
            value=median(memory for _, memory in boots),
        ),
        container=Baseline(
            title="one docker run of the app until it answers HTTP", value=median(starts)
        ),
    )


def _bare_node(client: docker.DockerClient) -> tuple[float, float]:
    """Seconds from `docker start` to `running`, and the memory at that time in MiB."""
    host = DockerHost(client, image=build.ensure_image("node"), container=NAME)
    with _network(client):
        asyncio.run(host.create_vm(_vm()))
        try:
            began = time.monotonic()
            asyncio.run(host.start_vm(NAME))
            _wait(lambda: _is_up(client), "the node does not start")
            seconds = time.monotonic() - began
            return seconds, working_memory(client, NAME)
        finally:
            asyncio.run(host.remove_vm(NAME, keep_disks=False))


def _vm() -> VmContainer:
    """A VM with a user and nothing to run."""
    provisioning = {
        "computerName": "bare",
        "adminUsername": "core",
        "sshPublicKeys": ["# no logins"],
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
    """True at `running`. Raises StepFailed if a unit failed: such a node is no baseline."""
    answer = client.containers.get(NAME).exec_run(["systemctl", "is-system-running"])
    assert isinstance(answer.output, bytes)
    state = answer.output.decode().strip()
    if state == "degraded":
        raise StepFailed(
            "Booting a bare node",
            why="one of its units failed",
            advice="Start the node's image with docker and run `systemctl --failed` in it.",
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
    wait_until(
        condition,
        patience=PATIENCE,
        interval=0.02,
        failure=lambda: StepFailed(
            "Measuring a baseline", why=why, advice="Look at `docker ps --all`."
        ),
    )
