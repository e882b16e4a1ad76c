"""How the lab waits: ask again until a condition is true, for a limited time."""

from __future__ import annotations

import time
from collections.abc import Callable

from tools.progress import StepFailed

INTERVAL = 0.1


def wait_until(
    condition: Callable[[], bool],
    *,
    patience: float,
    failure: Callable[[], StepFailed],
    interval: float = INTERVAL,
) -> None:
    """Return when the condition is true. Raises `failure()` after `patience` seconds."""
    if not comes_true(condition, patience=patience, interval=interval):
        raise failure()


def comes_true(
    condition: Callable[[], bool], *, patience: float, interval: float = INTERVAL
) -> bool:
    """Tell whether a condition comes true within `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True
