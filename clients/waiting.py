"""Waiting, written once: until a condition holds, or while an action fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from clients.clock import Clock
from clients.errors import ClusterError
from clients.progress import Progress, WaitReport, silent

T = TypeVar("T")


class TimedOut(ClusterError):
    """A condition was not met in time; the text says what is missing."""


class Held(Protocol):
    """A lock that must be kept while time passes."""

    def pause(self, seconds: float) -> None: ...


def wait_until(
    condition: Callable[[], str | None],
    *,
    patience: float,
    clock: Clock,
    lock: Held | None = None,
    progress: Progress = silent,
    pause: float = 1.0,
    quiet: float = 5.0,
    give_up: Callable[[str], Exception] = TimedOut,
) -> None:
    """Call `condition` until it returns nothing; until then it returns what is missing.

    After `patience` seconds, raises what `give_up` makes of that text. Keeps `lock` while it
    waits, and reports to `progress` after `quiet` seconds.
    """
    deadline = clock.now() + patience
    report = WaitReport(clock, progress, quiet=quiet)
    while missing := condition():
        if clock.now() >= deadline:
            raise give_up(missing)
        report.waiting_for(missing)
        (lock.pause if lock else clock.sleep)(pause)


def retry(
    action: Callable[[], T],
    *,
    on: type[Exception],
    patience: float,
    clock: Clock,
    pause: float = 1.0,
) -> T:
    """Repeat `action` while it raises `on`; after `patience` seconds, let that error out."""
    deadline = clock.now() + patience
    while True:
        try:
            return action()
        except on:
            if clock.now() >= deadline:
                raise
        clock.sleep(pause)
