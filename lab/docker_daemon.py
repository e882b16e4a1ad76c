"""A Docker daemon for the lab: the user's own if one answers, else one that the lab starts.

The daemon that the lab starts keeps its data in the cache, and when it is stopped, the bridge
and the iptables rules that it made go with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import DockerException

from lab import iptables
from lab.paths import cache_root, state_root
from lab.processes import runs
from tools.cache import new_log
from tools.progress import StepFailed, step

START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0


def ensure() -> docker.DockerClient:
    """Return a client of a Docker daemon that answers. Raises StepFailed if there can be none."""
    client = _client()
    if client is not None:
        return client
    if "DOCKER_HOST" in os.environ:
        raise StepFailed(
            "Finding Docker",
            why=f"no Docker daemon answers at DOCKER_HOST={os.environ['DOCKER_HOST']}",
            advice="Start that one, or unset the variable.",
        )
    if os.geteuid() != 0:
        raise StepFailed(
            "Finding Docker",
            why="no Docker daemon answers, and only root can start one",
            advice="Start Docker (on Debian: sudo systemctl start docker) and make sure that you "
            "are in the group `docker`, or run this as root.",
        )
    with step("Starting a Docker daemon"):
        return _start()


def stop() -> None:
    """Stop the daemon if the lab started it, and remove what it left in the network."""
    pid = _our_daemon()
    if pid is None:
        return
    with step("Stopping the Docker daemon that the lab started"):
        os.kill(pid, signal.SIGTERM)
        _wait(lambda: not runs(pid, "dockerd"), STOP_TIMEOUT, "the Docker daemon does not stop")
    iptables.restore(_saved_rules())
    _remove_bridge()
    _pid_file().unlink(missing_ok=True)
    _saved_rules().unlink(missing_ok=True)


def _client() -> docker.DockerClient | None:
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (DockerException, OSError):
        return None
    return client


def _start() -> docker.DockerClient:
    dockerd = shutil.which("dockerd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if dockerd is None:
        raise StepFailed(
            "Starting a Docker daemon",
            why="dockerd is not installed",
            advice="Run ./tools/prepare.sh, or install Docker.",
        )
    if not _saved_rules().exists():
        iptables.save(_saved_rules())
    log = new_log("docker-daemon")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [dockerd, "--data-root", cache_root() / "docker", "--pidfile", _pid_file()],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, not for the daemon
        )
    found: list[docker.DockerClient] = []

    def ready() -> bool:
        client = _client()
        if client is not None:
            found.append(client)
        return client is not None or process.poll() is not None

    _wait(ready, START_TIMEOUT, "it does not answer", log)
    if not found:
        raise StepFailed(
            "Starting a Docker daemon",
            why=f"dockerd exited with {process.returncode}",
            advice="Mend what the log says, or start Docker yourself.",
            log=log,
        )
    return found[0]


def _our_daemon() -> int | None:
    """The process id of the daemon that the lab started, if it runs."""
    try:
        pid = int(_pid_file().read_text())
    except (OSError, ValueError):
        return None
    return pid if runs(pid, "dockerd") else None


def _remove_bridge() -> None:
    """Docker leaves its default bridge behind when it stops."""
    links = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True)
    if any(line.startswith("docker0 ") for line in links.stdout.splitlines()):
        subprocess.run(["ip", "link", "delete", "docker0"], check=True)


def _wait(condition: Callable[[], bool], timeout: float, why: str, log: Path | None = None) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise StepFailed("Waiting for Docker", why=why, advice="See the daemon's log.", log=log)
        time.sleep(0.1)


def _pid_file() -> Path:
    return state_root() / "dockerd.pid"


def _saved_rules() -> Path:
    return state_root() / "iptables.before"
