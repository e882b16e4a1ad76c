"""One line per step on standard output, which is what `pulumi up` shows while it waits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

from clients.clock import Clock

# Takes a finished sentence about one step.
Progress = Callable[[str], None]


def silent(_line: str) -> None:
    """Progress that nothing shows."""


class Lines:
    """Writes every line immediately, but no line twice in a row."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._last = ""

    def __call__(self, line: str) -> None:
        if line == self._last:
            return
        self._last = line
        print(line, file=self._out, flush=True)


class WaitReport:
    """Reports the reason of a wait, but not at the start and not at every change."""

    def __init__(
        self, clock: Clock, progress: Progress, *, quiet: float = 5.0, every: float = 15.0
    ) -> None:
        """Silent for the first `quiet` seconds and for as long after a report. The same text is
        repeated after `every` seconds."""
        self._clock = clock
        self._progress = progress
        self._quiet = quiet
        self._every = every
        self._since = self._reported_at = clock.now()
        self._reported = ""

    def waiting_for(self, what: str) -> None:
        """Report `what` if it is time to."""
        silence = self._clock.now() - self._reported_at
        if silence < (self._every if what == self._reported else self._quiet):
            return
        self._progress(f"{what} ({self._clock.now() - self._since:.0f} s)")
        self._reported, self._reported_at = what, self._clock.now()
