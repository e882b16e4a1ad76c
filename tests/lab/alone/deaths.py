"""The deaths that a running lab must survive: of its containers, its Docker daemon, or the whole
machine."""

from __future__ import annotations

from collections.abc import Iterable

import psutil
import pytest
from docker.models.containers import Container

from lab.machine import containers, docker_daemon
from lab.machine.endpoints import CLOUD
from lab.machine.paths import state_root


def every_container() -> None:
    # the simulated Azure first: it would start the VMs again
    for container in sorted(_running(), key=lambda one: one.name != CLOUD):
        container.kill()


def the_docker_daemon() -> None:
    _kill([_daemon()])


def the_whole_machine() -> None:
    """All that a power cut ends: Docker's processes, and what runs in the lab's containers."""
    daemon = _daemon()
    first = [psutil.Process(one.attrs["State"]["Pid"]) for one in _running()]
    shims = [shim for one in first if (shim := one.parent())]
    _kill([daemon, *daemon.children(), *shims, *first])


def _running() -> list[Container]:
    found: list[Container] = docker_daemon.find().containers.list(
        filters={"label": containers.LABEL}
    )
    return found


def _daemon() -> psutil.Process:
    """The daemon that the lab started: the tests may not kill another one."""
    pid_file = state_root() / "dockerd.pid"
    if not pid_file.exists():
        pytest.skip("the lab runs in a Docker daemon that it did not start")
    return psutil.Process(int(pid_file.read_text()))


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue  # it ended with one before it
