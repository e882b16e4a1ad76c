"""One container of an application's image, started as units/service@.service starts it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from docker.models.containers import Container as DockerContainer

from lab.machine import docker_daemon
from tests.eventually import eventually
from tests.ports import free_port
from tools import build

PATIENCE = 30.0
_numbers = itertools.count()


class Container:
    """A running instance, reached through ports of the loopback address."""

    def __init__(self, container: DockerContainer, ports: Mapping[str, int]) -> None:
        self._container = container
        self._ports = ports
        self.url = f"http://127.0.0.1:{ports.get('8080/tcp')}"

    def port(self, name: str) -> int:
        """The loopback address's port for one of the container's, such as 64738/udp."""
        return self._ports[name]

    def get(self, path: str = "/", **options: Any) -> httpx.Response:
        """One request on a connection of its own; follows no redirect."""
        return httpx.get(self.url + path, trust_env=False, **options)

    def browser(self) -> httpx.Client:
        """A client with cookies of its own."""
        return httpx.Client(base_url=self.url, trust_env=False, follow_redirects=True)

    def run(self, *command: str) -> str:
        """What a command in the container printed."""
        done = self._container.exec_run(list(command))
        assert isinstance(done.output, bytes)
        assert done.exit_code == 0, f"{command} ended with {done.exit_code}: {done.output.decode()}"
        return done.output.decode()

    def kill(self, process: str) -> None:
        """Kill the oldest process that shows these words; the container may end with it."""
        self._container.exec_run(["pkill", "-KILL", "--oldest", "--full", process])

    def stop(self) -> int:
        """Stop it as systemd does; returns its exit code."""
        self._container.stop(timeout=10)
        return self.exit_code()

    def exit_code(self) -> int:
        """Its exit code, once it has ended."""
        code: int = self._container.wait(timeout=PATIENCE)["StatusCode"]
        return code

    @property
    def logs(self) -> str:
        text: str = self._container.logs().decode()
        return text

    @property
    def attributes(self) -> dict[str, Any]:
        """What `docker inspect` shows."""
        self._container.reload()
        found: dict[str, Any] = self._container.attrs
        return found

    def wait_until_healthy(self) -> None:
        eventually(
            lambda: self.get("/health").status_code == 200, "it is healthy", log=lambda: self.logs
        )


@contextmanager
def running(
    image: str,
    *,
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    folder: Path,
    memory: str,
    state: str,
    ports: tuple[str, ...] = ("8080/tcp",),
) -> Iterator[Container]:
    """A container of one of the project's images, until the block ends.

    `secrets` lie in `folder`; the container gets each as /run/secrets/NAME. `state` is a tmpfs.
    """
    client = docker_daemon.ensure()
    number = free_port()
    published = dict.fromkeys(ports, number)
    container = client.containers.run(
        build.ensure_image(image),
        name=f"apps-{os.getpid()}-{next(_numbers)}",
        detach=True,
        environment={**(env or {}), **_secret_paths(secrets or {})},
        volumes={
            str(_write_secrets(folder, secrets or {})): {"bind": "/run/secrets", "mode": "ro"}
        },
        tmpfs={state: "size=16m"},
        mem_limit=memory,
        nano_cpus=10**9,
        pids_limit=2048,
        security_opt=["no-new-privileges"],
        ports=dict.fromkeys(ports, ("127.0.0.1", number)),
    )
    try:
        yield Container(container, published)
    finally:
        container.remove(force=True, v=True)


def _secret_paths(secrets: Mapping[str, str]) -> dict[str, str]:
    return {f"{name}_FILE": f"/run/secrets/{name}" for name in secrets}


def _write_secrets(folder: Path, secrets: Mapping[str, str]) -> Path:
    """Files that only their owner can read: root on a node, whoever runs the tests here."""
    target = folder / f"secrets-{next(_numbers)}"
    target.mkdir(mode=0o700)
    for name, value in secrets.items():
        path = target / name
        path.write_text(value)
        path.chmod(0o400)
    return target
