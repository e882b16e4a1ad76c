"""The main process of a container. Once it is gone, its ports may be another container's."""

from __future__ import annotations

import os
import select
import weakref


class Process:
    """A process that is not our child. Raises ProcessLookupError if it is not there."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def fileno(self) -> int:
        """Readable once the process has ended."""
        return self._handle

    @property
    def has_ended(self) -> bool:
        return bool(select.select([self._handle], [], [], 0)[0])

    def close(self) -> None:
        os.close(self._handle)


class Bell:
    """Wakes a thread that rests."""

    def __init__(self) -> None:
        self._handle = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._handle)  # it may be rung after its thread has ended

    def ring(self) -> None:
        os.eventfd_write(self._handle, 1)

    def rest(self, seconds: float, process: Process | None) -> None:
        """Return after `seconds`, when it rings, or when the process has ended."""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        if process is not None:
            poll.register(process, select.POLLIN)
        poll.poll(max(seconds, 0) * 1000)
        try:
            os.eventfd_read(self._handle)
        except BlockingIOError:
            return
