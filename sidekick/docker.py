"""The few calls of docker's API that a sidekick needs, over docker's socket.

https://docs.docker.com/reference/api/engine/
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 5.0
_KEPT = 4096  # bytes of a command's output


class DockerError(Exception):
    """docker refuses a request."""


class DockerUnavailable(DockerError):
    """docker does not answer."""


class NoSuchContainer(DockerError):
    """docker knows no container of that name."""


@dataclass(kw_only=True, frozen=True)
class Execution:
    """How a command in a container ended."""

    exit_code: int | None  # None: it took too long, and was killed
    output: str  # the end of it


class Docker:
    """The docker of this node."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def inspect(self, container: str) -> dict[str, Any]:
        """The description of a container. Raises DockerError."""
        return self._call("GET", f"/containers/{container}/json")

    def execute(self, container: str, command: str, *, timeout: float) -> Execution:
        """Run a command line in the container's shell. Raises DockerError."""
        arguments = {
            "AttachStdout": True,
            "AttachStderr": True,
            "Cmd": ["sh", "-c", command],
        }
        identifier = self._call("POST", f"/containers/{container}/exec", arguments)["Id"]
        deadline = time.monotonic() + timeout
        output = _Output()
        try:
            self._run(identifier, output, deadline)
            code = self._exit_code(identifier, deadline)
        except TimeoutError:
            self._kill(identifier)
            code = None
        except (OSError, http.client.HTTPException) as error:
            raise DockerUnavailable(str(error)) from error
        return Execution(exit_code=code, output=output.text)

    def _run(self, identifier: str, output: _Output, deadline: float) -> None:
        """Until the command closes its output. Raises TimeoutError."""
        connection = _Connection(self._path, _remaining(deadline))
        try:
            connection.connect()
            stream = connection.sock  # HTTPConnection forgets it when the answer has no length
            answer = _ask(connection, "POST", f"/exec/{identifier}/start", {"Detach": False})
            while True:
                stream.settimeout(_remaining(deadline))
                part = answer.read1(65536)
                if not part:
                    return
                output.add(part)
        finally:
            connection.close()

    def _exit_code(self, identifier: str, deadline: float) -> int:
        """Of a command that closed its output and is about to end. Raises TimeoutError."""
        while True:
            described = self._call("GET", f"/exec/{identifier}/json")
            if not described["Running"]:
                return int(described["ExitCode"])
            time.sleep(min(0.05, _remaining(deadline)))

    def _kill(self, identifier: str) -> None:
        """Kill the command and its children: it leads a process group."""
        process = self._call("GET", f"/exec/{identifier}/json")["Pid"]
        try:
            os.killpg(process, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        connection = _Connection(self._path, TIMEOUT)
        try:
            answer = _ask(connection, method, path, body).read()
        except (OSError, http.client.HTTPException) as error:
            raise DockerUnavailable(f"docker does not answer: {error}") from error
        finally:
            connection.close()
        return dict(json.loads(answer))


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Output:
    """What a command says, on both of its outputs: frames with a head of eight bytes."""

    def __init__(self) -> None:
        self._raw = b""
        self._end = b""

    @property
    def text(self) -> str:
        return self._end.decode(errors="replace")

    def add(self, part: bytes) -> None:
        self._raw += part
        while len(self._raw) >= 8:
            end = 8 + int.from_bytes(self._raw[4:8])
            if len(self._raw) < end:
                return
            self._end = (self._end + self._raw[8:end])[-_KEPT:]
            self._raw = self._raw[end:]


def _ask(
    connection: _Connection, method: str, path: str, body: Mapping[str, object] | None
) -> http.client.HTTPResponse:
    """An answer whose body is still to be read. Raises DockerError."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    if answer.status < 400:
        return answer
    try:
        message = str(json.loads(answer.read())["message"])
    except (ValueError, KeyError, TypeError):
        message = f"{answer.status} {answer.reason}"
    raise (NoSuchContainer if answer.status == 404 else DockerError)(message)


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining
