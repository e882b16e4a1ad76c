"""One line per step on standard output, which is what `pulumi up` shows while it waits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

from clients.clock import Clock

# Takes a finished sentence about one step.
Progress = Callable[[str], None]


class Lines:
    """Writes every line at once, and a repeated one not again."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._last = ""

    def __call__(self, line: str) -> None:
        if line == self._last:
            return
        self._last = line
        print(line, file=self._out, flush=True)


class Patience:
    """Says what is being waited for, but not at once, not with every change, and not for ever."""

    def __init__(
        self, clock: Clock, progress: Progress, *, quiet: float = 5.0, every: float = 15.0
    ) -> None:
        """Silent for the first `quiet` seconds and between two changes; repeats itself after
        `every` seconds."""
        self._clock = clock
        self._progress = progress
        self._quiet = quiet
        self._every = every
        self._since = self._said_at = clock.now()
        self._said = ""

    def waiting_for(self, what: str) -> None:
        """Report `what` if it is time to."""
        silence = self._clock.now() - self._said_at
        if silence < (self._every if what == self._said else self._quiet):
            return
        self._progress(f"{what} ({self._clock.now() - self._since:.0f} s)")
        self._said, self._said_at = what, self._clock.now()
