"""The announcer of a node as a process, with one sidekick that talks to it as its unit does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from contract.registration import HealthCheck, Registration
from tests.eventually import eventually
from tests.parts.router.backends import Backend
from tests.parts.router.harness import PROJECT, EtcdServer

UNIT = "api-0badcafe-announce@1.service"
INSTANCE = "/services/api/instances/0badcafe-1"
FAILURE = "/services/api/failures/0badcafe-1"
FAST = HealthCheck(
    kind="tcp",
    port=8080,
    start_period=3,
    interval=1,
    timeout=3,
    healthy_threshold=1,
    unhealthy_threshold=2,
)
API = Registration(service="api", instance="0badcafe-1", http=8080, health=FAST, drain=0)
HTTP = replace(FAST, kind="http", host="localhost")


class Announcer:
    """The announcer's process, and the node around it."""

    def __init__(self, host: Path, etcd: EtcdServer, *, routers_timeout: float) -> None:
        self.host = host
        self.socket = host / "run/announcer/socket"
        self.folder = host / "run/announcer/sidekicks"
        self._etcd = etcd
        self._routers_timeout = routers_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._journal = Journal(host / "run/systemd/journal/socket")
        for folder in ("run/node-life", "run/announcer"):
            (host / folder).mkdir(parents=True, exist_ok=True)
        self.log("")

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sidekick"],
            cwd=PROJECT,
            env={
                "PATH": os.environ["PATH"],
                "NODE_NAME": "core-0",
                "NODE_IP": "127.0.0.1",
                "ANNOUNCER_HOST": str(self.host),
                "ANNOUNCER_SOCKET": str(self.socket),
                "ANNOUNCER_FOLDER": str(self.folder),
                "ANNOUNCER_ETCD": self._etcd.url,
                "ANNOUNCER_ROUTERS_TIMEOUT": str(self._routers_timeout),
                "ANNOUNCER_JOURNALCTL": f"{Path(__file__).parent}/journalctl {self.host}/log",
            },
        )

    def stop(self) -> int:
        """What docker does when the announcer is replaced."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(10)

    def is_killed(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.is_killed()
        self._journal.close()

    def log(self, text: str) -> None:
        """The last lines of the container."""
        (self.host / "log").write_text(text)

    def says(self) -> list[dict[str, str]]:
        """What sidekicks said in the journal, by field."""
        return self._journal.entries

    def docker_starts(self, identifier: str, *, boot: str = "boot-1") -> None:
        """What the node tells of itself."""
        life = self.host / "run/node-life"
        for name, text in (("boot", boot), ("docker", identifier)):
            (life / f"{name}.new").write_text(f"{text}\n")
            (life / f"{name}.new").rename(life / name)


class Sidekick:
    """The unit of a sidekick: its ExecStart and its ExecStop."""

    def __init__(self, etcd: EtcdServer, announcer: Announcer) -> None:
        self._observer = etcd.client
        self._announcer = announcer
        self._stopping: subprocess.Popen[bytes] | None = None

    def start(self, registration: Registration = API) -> None:
        form = registration.form().items()
        data = [word for name, value in form for word in ("--data-urlencode", f"{name}={value}")]
        subprocess.run(self._curl("PUT", *data), check=True)

    def stop(self) -> None:
        """Begin to stop it."""
        self._stopping = subprocess.Popen(self._curl("DELETE"))

    @property
    def is_stopping(self) -> bool:
        assert self._stopping is not None
        return self._stopping.poll() is None

    def wait(self, timeout: float = 30) -> int:
        """Until it has stopped; curl's exit code."""
        assert self._stopping is not None
        return self._stopping.wait(timeout)

    def watch_through(self, etcd: EtcdServer) -> None:
        """Look at its keys through another member of etcd."""
        self._observer = etcd.client

    def announced(self) -> dict[str, Any] | None:
        return self._value(INSTANCE)

    def is_announced(self) -> dict[str, Any]:
        """Wait for it."""
        return eventually(self.announced, what="the instance is announced")

    def is_withdrawn(self) -> None:
        """Wait for it."""
        eventually(lambda: self.announced() is None, what="the announcement is gone")

    def failure(self) -> dict[str, Any] | None:
        return self._value(FAILURE)

    def has_failed(self) -> dict[str, Any]:
        """Wait for the report of a failure."""
        return eventually(self.failure, what="the failure is reported")

    def close(self) -> None:
        if self._stopping is not None and self._stopping.poll() is None:
            self._stopping.kill()
            self._stopping.wait()

    def _curl(self, method: str, *options: str) -> list[str]:
        retry = ["--retry", "20", "--retry-delay", "1", "--retry-all-errors"]
        to = ["--unix-socket", str(self._announcer.socket), f"http://announcer/sidekicks/{UNIT}"]
        return ["curl", "--silent", "--fail", *retry, "--request", method, *options, *to]

    def _value(self, key: str) -> dict[str, Any] | None:
        answer = self._observer.find(key)
        return None if answer is None else dict(json.loads(answer.node.value))


class Journal:
    """journald's socket."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.entries: list[dict[str, str]] = []
        threading.Thread(target=self._receive, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self) -> None:
        while data := self._socket.recv(65536):
            entry = {}
            while data:
                name, _, data = data.partition(b"\n")
                end = 8 + int.from_bytes(data[:8], "little")
                entry[name.decode()] = data[8:end].decode()
                data = data[end + 1 :]
            self.entries.append(entry)


def port_of(app: Backend) -> str:
    return app.address.rpartition(":")[2]
