"""Commands are timed line by line, and can clean up when they are interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.running import run
from tests.eventually import eventually
from tools.paths import PROJECT
from tools.progress import StepFailed

# like `make up`: an interruption makes it clean up
OBEDIENT = """
trap 'echo cleaned up; exit 1' INT
echo began
while true; do sleep 0.05; done
"""
INTERRUPTED = """
import sys
from pathlib import Path
from bench.running import run
run(["bash", "-c", sys.argv[1]], log=Path(sys.argv[2]))
"""


def test_every_line_has_the_time_of_its_printing(tmp_path: Path) -> None:
    done = run(["sh", "-c", "echo one; sleep 0.2; echo two >&2"], log=tmp_path / "log")

    assert [line.text for line in done.lines] == ["one", "two"]
    assert done.lines[1].at - done.lines[0].at >= 0.15
    assert done.seconds >= done.lines[1].at


def test_what_was_printed_is_in_the_log_with_the_command(tmp_path: Path) -> None:
    run(["echo", "hello"], log=tmp_path / "log")

    assert (tmp_path / "log").read_text().splitlines()[0] == "$ echo hello"
    assert (tmp_path / "log").read_text().endswith(" hello\n")


def test_a_command_that_fails_is_an_error_that_shows_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as raised:
        run(["sh", "-c", "echo the reason; exit 3"], log=tmp_path / "log")

    assert "exit code 3" in str(raised.value)
    assert "the reason" in str(raised.value)


def test_an_interrupted_command_can_clean_up_and_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = [sys.executable, "-c", INTERRUPTED, OBEDIENT, str(log)]
    process = subprocess.Popen(script, cwd=PROJECT, stderr=subprocess.DEVNULL)
    eventually(lambda: "began" in log.read_text().splitlines()[-1], "the command has begun")

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=30) != 0
    assert "cleaned up" in log.read_text()
