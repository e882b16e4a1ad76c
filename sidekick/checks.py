"""The checks of an instance: http, tcp, command, or docker's own health check of the container."""

from __future__ import annotations

import socket
import time

from contract.registration import HealthCheck
from sidekick.container import Container
from sidekick.docker import Docker, DockerError, DockerUnavailable
from sidekick.standing import Outcome

HEALTHY = Outcome()
_LINE = 300  # characters of a command's last line
_HEAD = 65536  # bytes: longer than what any application sends before a body


def check(health: HealthCheck, name: str, container: Container, docker: Docker) -> Outcome:
    """Check an instance. `name` is its container's."""
    match health.kind:
        case "http":
            return _check_http(health, container.probe)
        case "tcp":
            return _check_tcp(health, container.probe)
        case "command":
            return _check_command(health, name, docker)
        case _:
            return _check_container(name, docker)


def _check_http(health: HealthCheck, address: str) -> Outcome:
    url = f"http://{address}{health.path}"
    status = _status(address, health)
    if status is None:
        return Outcome(problem=f"GET {url} got no answer within {health.timeout} s")
    if 200 <= status < 400:
        return HEALTHY
    return Outcome(problem=f"GET {url} answered {status}")


def _status(address: str, health: HealthCheck) -> int | None:
    """The status of the answer; None without one in time.

    Not by a library: theirs bound the pauses within an answer, not the whole.
    """
    deadline = time.monotonic() + health.timeout
    request = (
        f"GET {health.path} HTTP/1.1\r\nHost: {health.host or address}\r\n"
        "User-Agent: fleet-sidekick\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    head = b""
    status = None
    try:
        with _connected(address, health.timeout) as connection:
            connection.sendall(request.encode())
            while True:  # to the end: an application may log a caller that leaves early
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                part = connection.recv(65536)
                if status is None:
                    head += part
                    status = final_status(head)
                if not part or len(head) > _HEAD or time.monotonic() >= deadline:
                    return status
    except OSError:
        return status


def final_status(head: bytes) -> int | None:
    """The status in the beginning of an answer; None until it is there. 1xx are not final."""
    while True:
        line, end, rest = head.partition(b"\n")
        words = line.split()
        if not end or len(words) < 2 or not words[1].isdigit():
            return None
        status = int(words[1])
        if status >= 200:
            return status
        _, end, head = (b"\n" + rest.replace(b"\r\n", b"\n")).partition(b"\n\n")
        if not end:
            return None


def _check_tcp(health: HealthCheck, address: str) -> Outcome:
    try:
        _connected(address, health.timeout).close()
    except OSError:
        return Outcome(problem=f"nothing accepts connections on {address}")
    return HEALTHY


def _check_command(health: HealthCheck, name: str, docker: Docker) -> Outcome:
    try:
        ended = docker.execute(name, health.command, timeout=health.timeout)
    except DockerUnavailable as error:
        return Outcome(problem=str(error), is_unsure=True)
    except DockerError as error:
        return Outcome(problem=f"the health command could not be started: {error}")
    if ended.exit_code == 0:
        return HEALTHY
    problem = (
        f"the health command took more than {health.timeout} s"
        if ended.exit_code is None
        else f"the health command ended with exit status {ended.exit_code}"
    )
    lines = [line for line in ended.output.splitlines() if line.strip()]
    return Outcome(problem=f"{problem}: {lines[-1][:_LINE]}" if lines else problem)


def _check_container(name: str, docker: Docker) -> Outcome:
    """An image without a health check is healthy while its container runs."""
    try:
        state = docker.inspect(name)["State"]
    except DockerError as error:
        return Outcome(problem=str(error), is_unsure=True)  # the process lives
    status = (state.get("Health") or {}).get("Status", "healthy")
    if status in ("healthy", "none"):
        return HEALTHY
    return Outcome(problem=f"docker's health check says: {status}")


def _connected(address: str, timeout: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout)
