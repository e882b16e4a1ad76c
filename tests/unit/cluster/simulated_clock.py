"""Time that passes only in `sleep`, and what happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """Calls every listener each quarter of a second of simulated time."""

    TICK = 0.25

    def __init__(self) -> None:
        self._now = 1000.0
        self.listeners: list[Callable[[], None]] = []

    def now(self) -> float:
        return self._now

    def date(self) -> datetime:
        return _BEGINNING + timedelta(seconds=self._now)

    def sleep(self, seconds: float) -> None:
        left = seconds
        while left > 1e-9:
            step = min(self.TICK, left)
            self._now += step
            left -= step
            for listener in self.listeners:
                listener()
