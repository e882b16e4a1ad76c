"""Time as a parameter of everything that waits, so that tests control it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Reads the time and lets it pass."""

    def now(self) -> float:
        """Seconds of a monotonic clock; for durations and deadlines."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    def date(self) -> datetime:
        """The date and time in UTC; for records that people read."""


class SystemClock:
    """The system's time."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def date(self) -> datetime:
        return datetime.now(UTC)


def timestamp(clock: Clock) -> str:
    """The time as records store it: 2026-01-31T12:00:00Z."""
    return clock.date().strftime("%Y-%m-%dT%H:%M:%SZ")
