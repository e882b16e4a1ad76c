"""Runs a command and records when it printed each line."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tools.paths import PROJECT
from tools.progress import StepFailed


@dataclass(frozen=True, kw_only=True)
class Line:
    """A printed line; `at` is in seconds since the command started."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """A command that succeeded."""

    seconds: float
    lines: tuple[Line, ...]


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = PROJECT,
) -> Run:
    """Run a command to its end; its output goes to the log. Raises StepFailed unless it exits 0.

    An interruption of ours also interrupts the command, and we wait until it has ended: its stack
    must be in a state that `make down` can destroy.
    """
    lines: list[Line] = []
    began = time.monotonic()
    with log.open("a") as file:
        print(f"$ {' '.join(map(str, command))}", file=file, flush=True)
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for us
        )
        try:
            _follow(process, began, lines, file)
        except BaseException:
            os.killpg(process.pid, signal.SIGINT)
            _follow(process, began, lines, file)
            raise
    seconds = time.monotonic() - began
    if process.returncode != 0:
        raise StepFailed(
            " ".join(map(str, command)),
            why=f"it ended with exit code {process.returncode}",
            advice="Read the log.",
            log=log,
        )
    return Run(seconds=seconds, lines=tuple(lines))


def _follow(process: subprocess.Popen[str], began: float, lines: list[Line], log: TextIO) -> None:
    """Record what a command prints until it ends."""
    assert process.stdout is not None
    for text in process.stdout:
        line = Line(at=time.monotonic() - began, text=text.rstrip("\n"))
        lines.append(line)
        print(f"{line.at:7.2f} {line.text}", file=log, flush=True)
    process.wait()
