"""What may die under a running lab: its containers, its Docker daemon, the whole machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest
from docker.models.containers import Container

from lab.machine import containers, docker_daemon
from lab.machine.endpoints import CLOUD
from lab.machine.paths import state_root


def every_container() -> None:
    # the simulated Azure first: it would start the machines again
    for container in sorted(_running(), key=lambda one: one.name != CLOUD):
        container.kill()


def the_docker_daemon() -> None:
    _kill([_daemon()])


def the_whole_machine() -> None:
    """All that a power cut ends: Docker's processes, and what runs in the lab's containers."""
    daemon = _daemon()
    first = [int(one.attrs["State"]["Pid"]) for one in _running()]
    shims = [_parent(pid) for pid in first]
    _kill([daemon, *_children(daemon), *shims, *first])


def _running() -> list[Container]:
    found: list[Container] = docker_daemon.find().containers.list(
        filters={"label": containers.LABEL}
    )
    return found


def _daemon() -> int:
    """The daemon that the lab started: another one is not the tests' to kill."""
    pid_file = state_root() / "dockerd.pid"
    if not pid_file.exists():
        pytest.skip("the lab runs in a Docker daemon that it did not start")
    return int(pid_file.read_text())


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it went with one before it


def _children(parent: int) -> list[int]:
    everybody = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return [pid for pid in everybody if _parent(pid) == parent]


def _parent(pid: int) -> int:
    """0 for a process that has just ended."""
    try:
        stat = (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])
