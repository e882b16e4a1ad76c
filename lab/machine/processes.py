"""The lab's processes on this machine: which still run, and those that nobody ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.machine.paths import state_root
from tools.progress import StepFailed

ENGINE_MARK = "FLEET_LAB_ENGINE"
"""In the environment of every engine of the lab, and so of all that it starts. Its value is the
lab's state folder, which tells the labs of several users apart."""

ENGINE = "pulumi"
PATIENCE = 10.0


def runs(pid: int, name: str) -> bool:
    """Whether this process is there, is that program, and is not merely waiting to be reaped.

    The name is checked because after a restart of the machine another may have its number.
    """
    found = _look(pid)
    return found is not None and found.name == name and found.alive


def end_leftovers() -> None:
    """End what engines that were killed left running: the language host, programs, plugins.

    Nothing else does. Each is in a process group of its own, so that no terminal's Ctrl-C reaches
    it, and most wait for orders of their engine for ever.
    """
    deadline = time.monotonic() + PATIENCE
    while left := list(_leftovers()):
        if time.monotonic() > deadline:
            raise StepFailed(
                "Ending what a killed pulumi left running",
                why=f"still there: processes {', '.join(map(str, left))}",
                advice="End them by hand, then run the same command again.",
            )
        for pid in left:
            _kill(pid)
        time.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class _Process:
    name: str
    alive: bool
    parent: int


def _leftovers() -> Iterator[int]:
    """The processes with this lab's mark that no running engine answers for."""
    mark = f"{ENGINE_MARK}={state_root()}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has just ended, or is another user's
        pid = int(folder.name)
        if mark in environment and not _has_engine(pid):
            yield pid


def _has_engine(pid: int) -> bool:
    """Whether this process is an engine, or descends from one that runs."""
    while (found := _look(pid)) is not None:
        if found.name == ENGINE and found.alive:
            return True
        pid = found.parent
    return False


def _look(pid: int) -> _Process | None:
    try:
        stat = (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return None
    # "1234 (name) S 1 …", and a name may hold anything
    head, _, tail = stat.rpartition(")")
    state, parent = tail.split()[:2]
    return _Process(name=head.partition("(")[2], alive=state not in "ZX", parent=int(parent))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
