"""Time, given to everything that waits, so that tests decide how it passes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from and how to let it pass."""

    def now(self) -> float:
        """Seconds that only grow; for durations and deadlines."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    def date(self) -> datetime:
        """The calendar's time in UTC; for records that people read."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def date(self) -> datetime:
        return datetime.now(UTC)


def timestamp(clock: Clock) -> str:
    """The calendar's time as records keep it: 2026-01-31T12:00:00Z."""
    return clock.date().strftime("%Y-%m-%dT%H:%M:%SZ")
