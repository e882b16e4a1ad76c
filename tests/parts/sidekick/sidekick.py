"""The sidekick as a process, and what docker says to it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.parts.router.backends import Backend
from tests.parts.router.harness import PROJECT, EtcdServer

SCRIPT = PROJECT / "cloud-config" / "bin" / "announce"
INSTANCE = "/services/api/instances/0badcafe-1"
FAILURE = "/services/api/failures/0badcafe-1"


class Container:
    """What docker says about the container of the instance."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.log("")
        self.process = subprocess.Popen(["sleep", "600"])

    def runs(self, ports: dict[str, str]) -> None:
        """It runs, with these container ports published on these ports of the node."""
        published = {
            port: [{"HostIp": "127.0.0.1", "HostPort": number}] for port, number in ports.items()
        }
        self._describe({"Running": True, "Pid": self.process.pid}, published)

    def dies(self, code: int) -> None:
        self.process.kill()
        self.process.wait()
        self._describe({"Running": False, "Pid": 0, "ExitCode": code}, {})

    def is_replaced(self) -> None:
        """systemd started it again: another process, and other ports once it `runs`."""
        self.process = subprocess.Popen(["sleep", "600"])

    def log(self, text: str) -> None:
        (self.state / "log").write_text(text)

    def health(self, status: str) -> None:
        (self.state / "health").write_text(status)

    def docker_starts(self, identifier: str, *, boot: str = "boot-1") -> None:
        """What the node tells of itself. Containers live on."""
        life = self.state / "life"
        life.mkdir(exist_ok=True)
        for name, text in (("boot", boot), ("docker", identifier)):
            (life / f"{name}.new").write_text(f"{text}\n")
            (life / f"{name}.new").rename(life / name)
        (self.state / "away").unlink(missing_ok=True)

    def docker_is_away(self) -> None:
        (self.state / "away").touch()

    def _describe(self, state: dict[str, Any], ports: dict[str, Any]) -> None:
        description = [{"Name": "/api-1", "State": state, "NetworkSettings": {"Ports": ports}}]
        staged = self.state / "inspect.new"
        staged.write_text(json.dumps(description))
        staged.rename(self.state / "inspect.json")


class Sidekick:
    """The script as a process."""

    def __init__(self, etcd: EtcdServer, container: Container) -> None:
        self._etcd = etcd
        self._observer = etcd.client
        self._container = container
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [SCRIPT],
            env={
                "PATH": f"{Path(__file__).parent}:{os.environ['PATH']}",
                "DOCKER_STATE": str(self._container.state),
                "NODE_LIFE": str(self._container.state / "life"),
                "ETCD": self._etcd.url,
                "NODE_NAME": "core-0",
                "NODE_IP": "127.0.0.1",
                "ANNOUNCE_NAME": "api",
                "ANNOUNCE_RELEASE": "0badcafe",
                "ANNOUNCE_INSTANCE": "1",
                "CONTAINER": "api-1",
                "DRAIN_SECONDS": "0",
                "ROUTERS_TIMEOUT": "0",
                "ANNOUNCE_BEAT": "500",
                **environment,
            },
        )

    def terminate(self) -> None:
        assert self.process is not None
        self.process.terminate()

    def is_killed(self) -> None:
        """It leaves no way to say goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(30)

    def watch_through(self, etcd: EtcdServer) -> None:
        """Look at its keys through another member of etcd."""
        self._observer = etcd.client

    def announced(self) -> dict[str, Any] | None:
        return self._value(INSTANCE)

    def failure(self) -> dict[str, Any] | None:
        return self._value(FAILURE)

    def _value(self, key: str) -> dict[str, Any] | None:
        answer = self._observer.find(key)
        return None if answer is None else dict(json.loads(answer.node.value))


def port_of(app: Backend) -> str:
    return app.address.rpartition(":")[2]
