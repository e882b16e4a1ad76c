"""The lab's processes on this machine: which still run, and which a killed engine left behind."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from lab.machine.paths import state_root
from lab.machine.waiting import wait_until
from tools.progress import StepFailed

ENGINE_MARK = "FLEET_LAB_ENGINE"
"""An environment variable of every engine of the lab, inherited by all that it starts. Its value is
the lab's state folder, so that the labs of several users can be told apart."""

ENGINE = "pulumi"
PATIENCE = 10.0


def runs(pid: int, name: str) -> bool:
    """Tell whether this process exists, is this program, and is not a zombie.

    The name is checked because another process may have the number after a restart of the machine.
    """
    try:
        return _runs(psutil.Process(pid), name)
    except psutil.NoSuchProcess:
        return False


def end_leftovers() -> None:
    """Kill what a killed engine left running: the language host, programs, plugins.

    Nothing else ends them. Each has a process group of its own, which Ctrl-C does not reach, and
    most of them wait for their engine forever.
    """
    wait_until(
        _kill_leftovers,
        patience=PATIENCE,
        interval=0.05,
        failure=lambda: StepFailed(
            "Ending what a killed pulumi left running",
            why=f"these processes still run: {', '.join(str(one.pid) for one in _leftovers())}",
            advice="End them with `kill`, then run the same command again.",
        ),
    )


def _kill_leftovers() -> bool:
    """Send a signal to every leftover; return whether there were none."""
    found = list(_leftovers())
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return not found


def _leftovers() -> Iterator[psutil.Process]:
    """Yield the processes with this lab's mark that do not belong to a running engine."""
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(ENGINE_MARK) == str(state_root())
            if marked and not _belongs_to_engine(process):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has just ended, or is another user's


def _belongs_to_engine(process: psutil.Process) -> bool:
    """Tell whether this process is a running engine, or descends from one."""
    try:
        return any(_runs(one, ENGINE) for one in (process, *process.parents()))
    except psutil.NoSuchProcess:
        return False  # one of them has just ended


def _runs(process: psutil.Process, name: str) -> bool:
    return bool(process.name() == name and process.status() != psutil.STATUS_ZOMBIE)
