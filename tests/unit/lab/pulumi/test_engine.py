"""The lock of a stack stays while its pulumi runs, and is removed after that."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.machine.paths import state_root
from lab.pulumi import engine
from lab.pulumi.engine import Stack
from tests.eventually import eventually
from tools.progress import StepFailed

Start = Callable[[str, str], subprocess.Popen[bytes]]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(engine, "environment", lambda _endpoints: {})
    return Stack("dev", None)  # type: ignore[arg-type]  # it makes no call here


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Run `sleep SECONDS` under another program's name."""
    running = []

    def run(name: str, seconds: str) -> subprocess.Popen[bytes]:
        program = tmp_path / name
        shutil.copy("/usr/bin/sleep", program)
        process = subprocess.Popen([program, seconds])
        running.append(process)
        # for a moment after its start it may still be listed under its parent's name
        eventually(lambda: process.poll() is not None or comm(process) == name, f"it is {name}")
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()


def test_a_running_pulumi_keeps_its_lock(stack: Stack, start: Start) -> None:
    working = start("pulumi", "60")
    lock = locked_by(working.pid)

    with pytest.raises(StepFailed, match=f"process {working.pid}"):
        stack.unlock()

    assert lock.exists()


def test_the_lock_of_a_pulumi_that_ended_is_removed(stack: Stack, start: Start) -> None:
    gone = start("pulumi", "0")
    gone.wait()
    lock = locked_by(gone.pid)

    stack.unlock()

    assert not lock.exists()


def test_the_lock_of_a_zombie_pulumi_is_removed(stack: Stack, start: Start) -> None:
    killed = start("pulumi", "60")
    killed.kill()
    stat = Path(f"/proc/{killed.pid}/stat")
    while ") Z" not in stat.read_text():
        pass
    lock = locked_by(killed.pid)

    stack.unlock()

    assert not lock.exists()


def test_the_lock_is_removed_if_another_program_has_the_process_id(
    stack: Stack, start: Start
) -> None:
    lock = locked_by(start("other", "60").pid)

    stack.unlock()

    assert not lock.exists()


def test_locks_of_other_stacks_stay(stack: Stack, start: Start) -> None:
    lock = locked_by(start("other", "60").pid, stack="dev2")

    stack.unlock()

    assert lock.exists()


def comm(process: subprocess.Popen[bytes]) -> str:
    try:
        return Path(f"/proc/{process.pid}/comm").read_text().strip()
    except OSError:
        return ""


def locked_by(process: int, *, stack: str = "dev") -> Path:
    folder = state_root() / "stacks" / ".pulumi" / "locks" / "organization" / "fleet" / stack
    folder.mkdir(parents=True)
    lock = folder / "0123.json"
    lock.write_text(json.dumps({"pid": process, "username": "root", "hostname": "here"}))
    return lock


def test_state_and_outputs_are_read_from_the_backends_file(stack: Stack) -> None:
    assert stack.state() == {}
    assert stack.outputs() == {}

    made = {"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:dev::fleet::x::fleet-dev"}
    write_state({"resources": [made | {"outputs": {"publicIp": "127.1.2.3"}}]})

    assert stack.outputs() == {"publicIp": "127.1.2.3"}
    assert stack.holds("fleet-dev")
    assert not stack.holds("dev")


def test_a_new_stack_has_an_empty_state(stack: Stack) -> None:
    write_state(None)

    assert stack.state() == {}
    assert stack.outputs() == {}


def write_state(latest: object) -> None:
    folder = state_root() / "stacks" / ".pulumi" / "stacks" / "fleet"
    folder.mkdir(parents=True)
    (folder / "dev.json").write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))
