"""What the user sees during long work: named steps with the time that each took."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

TAIL_LINES = 20
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class StepFailed(Exception):
    """A step failed: what, why, what to do about it, and the log."""

    def __init__(self, what: str, *, why: str, advice: str, log: Path | None = None) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.advice = advice
        self.log = log

    def __str__(self) -> str:
        lines = [f"{self.what} failed: {self.why}"]
        if self.log is not None and self.log.exists():
            tail = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            lines += [f"  │ {line}" for line in tail]
            lines.append(f"  the whole log: {self.log}")
        lines.append(f"  {self.advice}")
        return "\n".join(lines)


@contextmanager
def step(title: str, stream: TextIO | None = None) -> Iterator[None]:
    """Show one step: on a terminal a moving line, elsewhere one line before and one after."""
    out = stream if stream is not None else sys.stderr
    started = time.monotonic()
    done = threading.Event()
    show = _animate if out.isatty() else _announce
    painter = threading.Thread(target=show, args=(out, title, started, done), daemon=True)
    painter.start()
    mark = "✗"
    try:
        yield
        mark = "✓"
    finally:
        done.set()
        painter.join()
        erase = "\r\x1b[K" if out.isatty() else ""
        print(f"{erase} {mark} {title} ({_seconds(started)})", file=out, flush=True)


def _animate(out: TextIO, title: str, started: float, done: threading.Event) -> None:
    frame = 0
    while not done.wait(0.1):
        frame += 1
        spinner = FRAMES[frame % len(FRAMES)]
        print(f"\r\x1b[K {spinner} {title} … {_seconds(started)}", end="", file=out, flush=True)


def _announce(out: TextIO, title: str, _started: float, _done: threading.Event) -> None:
    print(f" • {title} …", file=out, flush=True)


def _seconds(started: float) -> str:
    return f"{time.monotonic() - started:.0f} s"
