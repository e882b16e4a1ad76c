"""The registries that a developer pushes to: one for each stack, each on its own port.

Each is like the registry on nodes, but writable and with the deployer's identity. It listens on
localhost and stores into the stack's blob container. A stack's registry keeps its port, so the same
address always means the same stack.
"""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass

import docker

from lab.machine import containers
from lab.machine.endpoints import get_container
from lab.machine.paths import state_root
from lab.machine.waiting import wait_until
from tools import build
from tools.progress import StepFailed

DEFAULT_STACK, DEFAULT_PORT = "dev", 5000
OTHER_PORTS = range(5001, 6000)
READY_TIMEOUT = 60.0
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
)
AZURE_DNS = "168.63.129.16"
_AZURE_ROUTES = [
    f"ip route add {address}/32 dev eth0" for address in ("169.254.169.254", AZURE_DNS)
]
"""On-link, so that packets for these addresses never leave the lab's bridge."""
_PORT, _STACK = f"{containers.LABEL}.registry-port", f"{containers.LABEL}.registry-of"


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A stack's registry, as a developer reaches it."""

    stack: str
    port: int

    @property
    def address(self) -> str:
        """The prefix of all images that are pushed to it."""
        return f"localhost:{self.port}"

    @property
    def container(self) -> str:
        return f"fleet-lab-registry.{self.stack}"

    @property
    def companion(self) -> str:
        return f"fleet-lab-registry-network.{self.stack}"

    def has(self, repository: str, tag: str) -> bool:
        return self._status(f"/v2/{repository}/manifests/{tag}") == 200

    def wait_until_ready(self) -> None:
        """Wait until it reaches its storage: /v2/ answers long before that."""
        path = "/v2/any/tags/list"
        wait_until(
            lambda: self._status(path) in (200, 404),
            patience=READY_TIMEOUT,
            failure=lambda: StepFailed(
                f"Starting the registry of the stack {self.stack}",
                why=f"{self.address}{path} answers {self._status(path) or 'nothing'}",
                advice=f"Read `docker logs {self.container}`.",
            ),
        )

    def _status(self, path: str) -> int:
        request = urllib.request.Request(
            f"http://{self.address}{path}", headers={"Accept": MANIFESTS}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


def start(client: docker.DockerClient, stack_name: str, account: str) -> Registry:
    """Run the stack's registry, which stores into this storage account.

    It lives in the network namespace of a small companion, which routes the metadata address to
    the simulated Azure: the registry's own image has no tools to do so.
    """
    _remove(client, "fleet-lab-registry", "fleet-lab-registry-network")  # what all stacks shared
    registry = Registry(stack=stack_name, port=_port(client, stack_name))
    companion = containers.ensure(
        client,
        registry.companion,
        build.ensure_image("cloud-runtime"),
        command=["sh", "-c", f"{' && '.join(_AZURE_ROUTES)} && exec sleep infinity"],
        cap_add=["NET_ADMIN"],
        dns=[AZURE_DNS],
        network=containers.NETWORK,
        ports={f"{registry.port}/tcp": ("127.0.0.1", registry.port)},
        labels={
            f"{containers.LABEL}.identity": "deployer",
            _STACK: stack_name,
            _PORT: str(registry.port),
        },
    )
    containers.ensure(
        client,
        registry.container,
        build.ensure_image("registry"),
        environment={
            "DATA_ACCOUNT": account,
            "READONLY": "false",
            "REGISTRY_HTTP_ADDR": f"0.0.0.0:{registry.port}",
            "SSL_CERT_FILE": "/etc/ssl/lab-ca.pem",
        },
        volumes={str(state_root() / "ca.pem"): {"bind": "/etc/ssl/lab-ca.pem", "mode": "ro"}},
        network_mode=f"container:{companion.id}",
    )
    return registry


def remove(client: docker.DockerClient, stack_name: str) -> None:
    """Remove the registry of a destroyed stack."""
    gone = Registry(stack=stack_name, port=0)
    _remove(client, gone.container, gone.companion)


def _remove(client: docker.DockerClient, *names: str) -> None:
    for name in names:
        container = get_container(client, name)
        if container is not None:
            container.remove(force=True)


def _port(client: docker.DockerClient, stack_name: str) -> int:
    """The port of the stack's registry, or the one that it gets and then keeps."""
    known = client.containers.list(all=True, filters={"label": _PORT})
    taken: dict[str, int] = {one.labels[_STACK]: int(one.labels[_PORT]) for one in known}
    if stack_name in taken:
        return taken[stack_name]
    return choose_port(stack_name, set(taken.values()))


def choose_port(stack_name: str, taken: set[int]) -> int:
    """A free port, if possible the same for the same name. Only `dev` gets 5000, so a push there by
    habit never reaches another stack."""
    first = zlib.crc32(stack_name.encode()) % len(OTHER_PORTS)
    ports: list[int] = [*OTHER_PORTS[first:], *OTHER_PORTS[:first]]
    if stack_name == DEFAULT_STACK:
        ports.insert(0, DEFAULT_PORT)
    for port in ports:
        if port not in taken and _is_free(port):
            return port
    raise StepFailed(
        f"Starting the registry of the stack {stack_name}",
        why=f"none of the ports {DEFAULT_PORT} to {OTHER_PORTS[-1]} is free",
        advice="Stop a program that listens on one of them.",
    )


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
