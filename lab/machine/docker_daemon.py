"""A Docker daemon for the lab: the user's own if one answers, else one that the lab starts.

The daemon that the lab starts keeps its data in the cache. When the lab stops it, the lab also
removes its bridge and its iptables rules.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import DockerException

from lab.machine import iptables, mounts
from lab.machine.paths import cache_root, state_root
from lab.machine.processes import runs
from lab.machine.waiting import wait_until
from tools.cache import new_log
from tools.progress import StepFailed, step

START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0
SOCKET = Path("/var/run/docker.sock")
EXEC_ROOT = Path("/var/run/docker")
"""dockerd's folder for what is valid until the next boot."""


def find() -> docker.DockerClient:
    """Return a client of the Docker daemon that runs the lab. Raises StepFailed if none answers.

    For commands that only look at the lab: they must not start a daemon.
    """
    client = _client()
    if client is not None:
        return client
    _refuse_unreadable()
    raise StepFailed("Reaching the lab", why="no Docker daemon answers", advice="Run `make up`.")


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
    _refuse_unreadable()
    if os.geteuid() != 0:
        raise StepFailed(
            "Finding Docker",
            why="no Docker daemon answers, and only root can start one",
            advice="Start Docker (on Debian: sudo systemctl start docker), or run this as root.",
        )
    with step("Starting a Docker daemon"):
        return _start()


def was_started() -> bool:
    """Whether the lab started a daemon and has not stopped it since, even if it died."""
    return _saved_rules().exists()


def is_ours() -> bool:
    """Whether the daemon that answers is the lab's own."""
    return _our_daemon() is not None


def stop() -> None:
    """Stop the daemon if the lab started it, and remove what it left in the machine's network."""
    pid = _our_daemon()
    if pid is not None:
        with step("Stopping the Docker daemon that the lab started"):
            os.kill(pid, signal.SIGTERM)
            _wait(lambda: not runs(pid, "dockerd"), STOP_TIMEOUT)
        iptables.restore(_saved_rules())
        _remove_bridge()
        # the mount of its network and, if it once died, that of its data
        mounts.unmount_below(cache_root() / "docker", EXEC_ROOT)
    # else ours died and another daemon runs the lab, which needs its rules and its bridge
    _pid_file().unlink(missing_ok=True)
    _saved_rules().unlink(missing_ok=True)


def _client() -> docker.DockerClient | None:
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (DockerException, OSError):
        return None
    return client


def _refuse_unreadable() -> None:
    """Raise StepFailed if there is a daemon that this user may not use."""
    elsewhere = "DOCKER_HOST" in os.environ
    if not elsewhere and SOCKET.exists() and not os.access(SOCKET, os.W_OK):
        raise StepFailed(
            "Finding Docker",
            why=f"this user may not use {SOCKET}",
            advice="Join the group `docker` (sudo usermod -aG docker $USER) and log in again, "
            "or run this as root.",
        )


def _start() -> docker.DockerClient:
    dockerd = shutil.which("dockerd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if dockerd is None:
        raise StepFailed(
            "Starting a Docker daemon",
            why="dockerd is not installed",
            advice="Run ./tools/prepare.sh, or install Docker.",
        )
    interrupted = _our_daemon()
    if interrupted is not None:  # it was starting, or is ending
        client = _answer(lambda: runs(interrupted, "dockerd"))
        if client is not None:
            return client
    _remove_stale_pid_files()
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
    client = _answer(lambda: process.poll() is None)
    if client is None:
        raise StepFailed(
            "Starting a Docker daemon",
            why=f"dockerd exited with {process.returncode}",
            advice="Fix what the log reports, or start Docker yourself.",
            log=log,
        )
    return client


def _answer(runs_on: Callable[[], bool]) -> docker.DockerClient | None:
    """Wait until a starting daemon answers; None if it ends instead."""
    found: list[docker.DockerClient] = []

    def decided() -> bool:
        client = _client()
        found.extend([client] if client else [])
        return client is not None or not runs_on()

    _wait(decided, START_TIMEOUT)
    return found[0] if found else None


def _our_daemon() -> int | None:
    """The process id of the daemon that the lab started, if it runs."""
    return _running(_pid_file(), "dockerd")


def _remove_stale_pid_files() -> None:
    """Remove the pid files of a daemon that died. If another process has such a number now, dockerd
    believes that a daemon runs and does not start, or waits for a containerd."""
    containerd = EXEC_ROOT / "containerd" / "containerd.pid"
    # the kernel kills it a moment after its dockerd
    _wait(lambda: _running(containerd, "containerd") is None, STOP_TIMEOUT)
    containerd.unlink(missing_ok=True)
    _pid_file().unlink(missing_ok=True)


def _running(pid_file: Path, name: str) -> int | None:
    """The number in a pid file, if that process runs and is this program."""
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return None
    return pid if runs(pid, name) else None


def _remove_bridge() -> None:
    """Docker leaves its default bridge behind when it stops."""
    links = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True)
    if any(line.startswith("docker0 ") for line in links.stdout.splitlines()):
        subprocess.run(["ip", "link", "delete", "docker0"], check=True)


def _wait(condition: Callable[[], bool], timeout: float) -> None:
    wait_until(
        condition,
        patience=timeout,
        failure=lambda: StepFailed(
            "Waiting for Docker",
            why=f"it was not ready after {timeout:.0f} s",
            advice="Read the daemon's log.",
            log=cache_root() / "logs" / "docker-daemon.log",
        ),
    )


def _pid_file() -> Path:
    return state_root() / "dockerd.pid"


def _saved_rules() -> Path:
    return state_root() / "iptables.before"
