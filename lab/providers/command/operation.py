"""One call of the engine: its deadline, its cancellation, and its messages.

The real plugin checks deadline and cancellation only between dials, see `rest`. Tests replace
`pause`, so that they do not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Protocol

import grpc

from lab.providers.command.errors import CommandError

Pause = Callable[[float], Coroutine[Any, Any, None]]


class Severity(Enum):
    """Levels of the engine's log."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


class Log(Protocol):
    """Shows a message of the resource; a `status` only until the next message."""

    async def __call__(self, severity: Severity, text: str, *, status: bool) -> None: ...


class Operation:
    """The call that a create, update or delete serves."""

    def __init__(
        self,
        log: Log,
        cancelled: asyncio.Event,
        *,
        timeout: float = 0,
        pause: Pause = asyncio.sleep,
    ) -> None:
        """`timeout` in seconds, 0 for none; fractions are cut, as in the real plugin."""
        self._log = log
        self._cancelled = cancelled
        self._pause = pause
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + int(timeout) if timeout else None

    @property
    def ended(self) -> CommandError | None:
        """Why the operation must stop; None if it need not."""
        if self._cancelled.is_set():
            return CommandError("context canceled", grpc.StatusCode.CANCELLED)
        if self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline:
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            return CommandError("context deadline exceeded", code)
        return None

    async def wait_ended(self) -> CommandError:
        """Wait until the operation must stop, which may never happen. Returns the reason."""
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._cancelled.wait()
            except TimeoutError:
                pass  # the deadline: `ended` says so below
            if reason := self.ended:
                return reason

    async def rest(self, seconds: float) -> None:
        """Pause between two dials. Raises CommandError if the operation ends meanwhile."""
        pausing = asyncio.ensure_future(self._pause(seconds))
        ending = asyncio.ensure_future(self.wait_ended())
        await asyncio.wait({pausing, ending}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (pausing, ending):
            waiting.cancel()
        if reason := self.ended:
            raise reason

    async def patience(self, grace: float) -> CommandError:
        """Wait until `grace` seconds after the operation must stop. Returns the reason."""
        reason = await self.wait_ended()
        await self._pause(grace)
        return reason

    async def status(self, text: str) -> None:
        """A message that is shown until the next one, and not in the final diagnostics."""
        await self._log(Severity.INFO, text, status=True)

    async def say(self, severity: Severity, text: str) -> None:
        """A message that stays."""
        await self._log(severity, text, status=False)
