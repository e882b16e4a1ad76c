"""Waiting in tests: for another process, for a timer, for a cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

PATIENCE = 60.0
"""Seconds. Long, because a busy machine is no failure."""

T = TypeVar("T")


def eventually(
    condition: Callable[[], T | None],
    what: str,
    *,
    patience: float = PATIENCE,
    every: float = 0.05,
    log: Callable[[], str] = str,
) -> T:
    """Wait until the condition returns something true, and return that.

    A condition that raises is not true yet. The failure after `patience` seconds shows `what` was
    awaited, the last exception, and what `log` returns.
    """
    deadline = time.monotonic() + patience
    while True:
        problem = "it was false"
        try:
            if found := condition():
                return found
        except Exception as error:
            problem = repr(error)
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:.0f} s: {what} ({problem})\n{log()}")
        time.sleep(every)


async def eventually_async(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """The same for a test that is a coroutine. Raises TimeoutError if it never comes true."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = condition()
            if await answer if isawaitable(answer) else answer:
                return
            await asyncio.sleep(0.01)
