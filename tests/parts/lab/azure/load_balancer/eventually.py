"""Waiting for what another process or a timer will do."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable

PATIENCE = 20.0
"""Seconds; long, because a busy machine is no failure."""


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Returns when the condition holds; TimeoutError if it never does."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = condition()
            if await answer if isawaitable(answer) else answer:
                return
            await asyncio.sleep(0.01)
