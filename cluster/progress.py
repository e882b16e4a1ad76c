"""One line per step on standard output, which is what `pulumi up` shows while it waits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

from cluster.clock import Clock

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
    """Says what is being waited for: when that changes, and again every `every` seconds."""

    def __init__(self, clock: Clock, progress: Progress, *, every: float = 15.0) -> None:
        self._clock = clock
        self._progress = progress
        self._every = every
        self._since = clock.now()
        self._said_at = clock.now() - every
        self._said = ""

    def waiting_for(self, what: str) -> None:
        """Report `what` if it is news or has been silent for long."""
        now = self._clock.now()
        if what == self._said and now - self._said_at < self._every:
            return
        self._progress(what if what != self._said else f"{what} ({now - self._since:.0f} s)")
        self._said, self._said_at = what, now
