"""The things that a lab could leave behind: Docker objects, loop devices, mounts, routes, …"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
import psutil
from docker.errors import DockerException
from docker.models.resource import Model

from lab.machine.containers import LABEL
from lab.machine.paths import state_root
from lab.machine.processes import ENGINE_MARK

STACK_MARK = "FLEET_TESTS_STACK"
"""In the environment of every command that a test runs on a stack: the stack's name."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of these there is at one moment."""

    docker_objects: frozenset[str]
    loop_devices: frozenset[str]
    mounts: frozenset[str]
    interfaces: frozenset[str]
    routes: frozenset[str]
    firewall_rules: frozenset[str]
    processes: frozenset[str]

    @classmethod
    def now(cls) -> Machine:
        return cls(
            docker_objects=frozenset(docker_objects()),
            loop_devices=_loop_devices(),
            mounts=_mounts(),
            interfaces=frozenset(one.name for one in Path("/sys/class/net").iterdir()),
            routes=_lines("ip", "route", "show", "table", "all"),
            firewall_rules=_lines("iptables-save"),
            processes=engine_processes() | _docker_processes(),
        )

    @classmethod
    def read(cls, file: Path) -> Machine:
        kinds: dict[str, list[str]] = json.loads(file.read_text())
        return cls(**{kind: frozenset(found) for kind, found in kinds.items()})

    def write(self, file: Path) -> None:
        file.write_text(json.dumps({kind: sorted(found) for kind, found in vars(self).items()}))

    def since(self, before: Machine) -> list[str]:
        """The things that are new since then."""
        return sorted(
            f"{kind}: {one}"
            for kind in vars(self)
            for one in getattr(self, kind) - getattr(before, kind)
        )


def docker_objects(owner: str = "") -> list[str]:
    """Everything in Docker that carries the lab's label, or is a part of the resource `owner`.

    Nothing when no daemon answers: what no daemon runs is not there.
    """
    try:
        client = docker.from_env()
        client.ping()
    except (DockerException, OSError):
        return []
    ours: dict[str, str | list[str] | bool] = {"label": LABEL}
    found: list[tuple[str, Model]] = [
        *(("container", one) for one in client.containers.list(all=True, filters=ours)),
        *(("network", one) for one in client.networks.list(filters=ours)),
        *(("volume", one) for one in client.volumes.list(filters=ours)),
    ]
    return [
        f"{kind} {one.attrs['Name'].lstrip('/')}"
        for kind, one in found
        if owner.lower() in _labels(one).get(f"{LABEL}.resource", "").lower()
    ]


def _labels(one: Model) -> dict[str, str]:
    """A container's labels lie elsewhere than those of networks and volumes."""
    found: dict[str, str] | None = one.attrs.get("Config", one.attrs).get("Labels")
    return found or {}


def _loop_devices() -> frozenset[str]:
    """Those whose file is gone, as the lab's are after its end: others may be another lab's."""
    files = Path("/sys/block").glob("loop*/loop/backing_file")
    attached = (f"{path.parts[3]} {path.read_text().strip()}" for path in files)
    return frozenset(one for one in attached if one.endswith("(deleted)"))


def _mounts() -> frozenset[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(line.split()[4] for line in lines)


def engine_processes(stack: str = "") -> frozenset[str]:
    """The lab's engines and all that they start; with a stack, those of its commands only."""
    marks = {ENGINE_MARK: str(state_root())}
    if stack:
        marks[STACK_MARK] = stack
    return _processes(lambda process: marks.items() <= process.environ().items())


def _docker_processes() -> frozenset[str]:
    """Those of Docker daemons on this machine: a node's own are in its network."""
    here = os.readlink("/proc/self/ns/net")
    return _processes(
        lambda process: (
            process.name().startswith(("dockerd", "containerd"))
            and os.readlink(f"/proc/{process.pid}/ns/net") == here
        )
    )


def _processes(wanted: Callable[[psutil.Process], bool]) -> frozenset[str]:
    found = set()
    for process in psutil.process_iter():
        try:
            if wanted(process):
                found.add(f"{process.pid} {' '.join(process.cmdline())}")
        except (psutil.Error, OSError):
            continue  # it has just ended, or is another user's
    return frozenset(found)


def _lines(*command: str) -> frozenset[str]:
    """A listing without its headings, counters and comments; nothing where only root may see it."""
    if os.geteuid() != 0:
        return frozenset()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        return frozenset()
    return frozenset(
        line.strip()
        for line in done.stdout.splitlines()
        if not line.startswith(("#", ":", "*", "COMMIT"))
    )
