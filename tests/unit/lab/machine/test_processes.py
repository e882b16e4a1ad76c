"""What a killed engine left running is killed, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.machine.paths import state_root
from lab.machine.processes import ENGINE_MARK, end_leftovers
from tests.eventually import eventually

# Like the engine's plugins: in a session of its own, and with a child that waits, too.
PLUGIN = "setsid bash -c 'sleep 60 & wait' & echo $! >{pid}; wait"

Engine = Callable[[str], tuple[subprocess.Popen[bytes], int]]


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Run an engine with this mark; returns it and the process id of its plugin."""
    program = tmp_path / "pulumi"
    program.symlink_to("/bin/bash")
    started: list[int] = []

    def start(mark: str) -> tuple[subprocess.Popen[bytes], int]:
        note = tmp_path / f"plugin-{len(started)}"
        running = subprocess.Popen(
            [program, "-c", PLUGIN.format(pid=note)], env={**os.environ, ENGINE_MARK: mark}
        )
        eventually(lambda: note.read_text().endswith("\n"), "the plugin has started")
        plugin = int(note.read_text())
        eventually(lambda: len(group(plugin)) == 2, "the plugin has a child")
        started.extend([running.pid, plugin])
        return running, plugin

    yield start
    for leader in started:
        for pid in [leader, *group(leader)]:
            subprocess.run(["kill", "-9", str(pid)], stderr=subprocess.DEVNULL)


def test_leftovers_of_a_killed_engine_are_killed(engine: Engine) -> None:
    killed, plugin = engine(str(state_root()))
    killed.kill()
    killed.wait()
    assert len(group(plugin)) == 2

    end_leftovers()

    assert group(plugin) == []


def test_processes_of_a_running_engine_are_not_killed(engine: Engine) -> None:
    working, plugin = engine(str(state_root()))

    end_leftovers()

    assert working.poll() is None
    assert len(group(plugin)) == 2


def test_leftovers_of_another_lab_are_not_killed(engine: Engine) -> None:
    killed, plugin = engine("/home/other/.local/state/fleet-azure")
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    end_leftovers()

    assert len(group(plugin)) == 2


def group(leader: int) -> list[int]:
    """The living processes of a process group."""
    return [pid for pid in psutil.pids() if _is_alive(pid) and _group_of(pid) == leader]


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
