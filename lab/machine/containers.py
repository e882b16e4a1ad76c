"""The containers of the simulated Azure, and what they leave on the Docker host.

Everything that the lab makes in Docker carries the label LABEL. So `wipe` finds all of it, even
what an interrupted run left unfinished.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import docker
from docker.models.containers import Container

from lab.machine.endpoints import (
    API_PORT,
    CLOUD,
    FRONT_PORT,
    Endpoints,
    call,
    find,
    get_container,
    keys,
    keys_file,
)
from lab.machine.paths import state_root
from lab.machine.waiting import wait_until
from tools import build
from tools.progress import StepFailed, step

LABEL = "fleet-azure.lab"
NETWORK = "fleet-lab"
AZURITE, LOAD_BALANCER = "fleet-lab-azurite", "fleet-lab-lb"
AZURITE_PORT = 10000
STATE_VOLUME, BLOB_VOLUME = "fleet-lab-state", "fleet-lab-blobs"
READY_TIMEOUT = 60.0
STOP_GRACE = 15
"""Seconds. Azurite writes its index every 5 s and on SIGTERM, and needs time to finish."""


def start(client: docker.DockerClient) -> Endpoints:
    """Start those of the lab's containers that are missing or outdated."""
    images = {name: build.ensure_image(name) for name in ("node", "cloud", "azurite")}
    made = keys()
    with step("Starting the simulated Azure"):
        _network(client)
        ensure(
            client,
            AZURITE,
            images["azurite"],
            command=[
                *("--blobHost", "0.0.0.0"),
                *("--blobPort", str(AZURITE_PORT)),
                *("--location", "/data"),
                # the SDKs in use are newer than Azurite
                "--skipApiVersionCheck",
                "--disableTelemetry",
            ],
            environment={"AZURITE_ACCOUNTS": f"{made['account']}:{made['blob']}"},
            volumes={BLOB_VOLUME: {"bind": "/data", "mode": "rw"}},
            network=NETWORK,
        )
        ensure(
            client,
            CLOUD,
            images["cloud"],
            environment={
                "LAB_API_TOKEN": made["api"],
                "LAB_NODE_IMAGE": images["node"],
                "LAB_AZURITE_URL": f"http://{AZURITE}:{AZURITE_PORT}",
                "LAB_AZURITE_ACCOUNT": made["account"],
                "LAB_AZURITE_KEY": made["blob"],
            },
            volumes={
                STATE_VOLUME: {"bind": "/var/lib/lab", "mode": "rw"},
                _socket(): {"bind": "/var/run/docker.sock", "mode": "rw"},
            },
            network=NETWORK,
            # its own addresses 169.254.169.254 and 168.63.129.16
            cap_add=["NET_ADMIN"],
            ports={API_PORT: ("127.0.0.1", None), FRONT_PORT: ("127.0.0.1", None)},
        )
        ensure(
            client,
            LOAD_BALANCER,
            images["cloud"],
            command=["python3", "-m", "lab.azure.load_balancer"],
            volumes={STATE_VOLUME: {"bind": "/var/lib/lab", "mode": "rw"}},
            # listens on loopback addresses of the machine and reaches the nodes over their bridge
            network_mode="host",
            # the route by which nodes tell clients apart (load_balancer/client_addresses.py)
            cap_add=["NET_ADMIN"],
        )
        endpoints = find(client)
        _wait_for_api(client, endpoints)
        _save_ca(client)
    return endpoints


def wipe(client: docker.DockerClient) -> None:
    """Remove every container, network and volume of the lab."""
    _release_routes(client)
    everything: dict[str, str | list[str] | bool] = {"label": LABEL}
    for container in client.containers.list(all=True, filters=everything):
        container.remove(force=True, v=True)
    for network in client.networks.list(filters=everything):
        network.remove()
    for volume in client.volumes.list(filters=everything):
        volume.remove(force=True)
    keys_file().unlink(missing_ok=True)


def ensure(
    client: docker.DockerClient,
    name: str,
    image: str,
    labels: Mapping[str, str] | None = None,
    **options: object,
) -> Container:
    """Run a container, unless one with the same image and configuration runs already."""
    wanted = json.dumps([image, options], sort_keys=True, default=str)
    existing = get_container(client, name)
    if existing is not None and existing.labels.get(f"{LABEL}.wanted") == wanted:
        if existing.status != "running":
            existing.start()
        return existing
    if existing is not None:
        existing.stop(timeout=STOP_GRACE)
        existing.remove(force=True)
    for volume in _names(options.get("volumes")):
        if not volume.startswith("/"):
            client.volumes.create(volume, labels={LABEL: "1"})
    return client.containers.run(  # type: ignore[no-any-return,call-overload]
        image,
        name=name,
        detach=True,
        labels={LABEL: "1", f"{LABEL}.wanted": wanted, **(labels or {})},
        restart_policy={"Name": "unless-stopped"},
        **options,
    )


def _names(volumes: object) -> list[str]:
    return list(volumes) if isinstance(volumes, Mapping) else []


def _release_routes(client: docker.DockerClient) -> None:
    """Stop the load balancer with SIGTERM, so that it removes its route on this machine.

    A load balancer that was killed is started again for that.
    """
    balancer = get_container(client, LOAD_BALANCER)
    if balancer is not None:
        balancer.start()
        balancer.stop(timeout=STOP_GRACE)


def _network(client: docker.DockerClient) -> None:
    if not client.networks.list(names=[f"^{NETWORK}$"]):
        client.networks.create(NETWORK, driver="bridge", labels={LABEL: "1"})


def _wait_for_api(client: docker.DockerClient, endpoints: Endpoints) -> None:
    def answers() -> bool:
        try:
            call(endpoints, "GET", "/lab/status", timeout=5)
        except (OSError, StepFailed):
            return False
        return True

    wait_until(answers, patience=READY_TIMEOUT, failure=lambda: _does_not_answer(client))


def _does_not_answer(client: docker.DockerClient) -> StepFailed:
    log = state_root() / "cloud.log"
    cloud = get_container(client, CLOUD)
    if cloud is not None:
        log.write_text(cloud.logs(tail=200).decode(errors="replace"))
    return StepFailed(
        "Starting the simulated Azure",
        why="its API does not answer",
        advice="If the log does not help, run make down and then make up.",
        log=log,
    )


def _save_ca(client: docker.DockerClient) -> None:
    """Copy the lab's certificate authority to this machine, for programs that use the lab."""
    cloud = get_container(client, CLOUD)
    assert cloud is not None
    answer = cloud.exec_run(["cat", "/var/lib/lab/ca.pem"])
    if answer.exit_code != 0:
        raise _does_not_answer(client)
    assert isinstance(answer.output, bytes)
    (state_root() / "ca.pem").write_bytes(answer.output)


def _socket() -> str:
    """The path of the Docker daemon's socket on this machine."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        raise StepFailed(
            "Starting the simulated Azure",
            why=f"the Docker daemon is not on this machine (DOCKER_HOST is {host})",
            advice="Unset DOCKER_HOST: the lab needs a local daemon.",
        )
    return host.removeprefix("unix://")
