"""A command's output: captured per stream and merged, and shown live, line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum

import grpc

from lab.providers.command.errors import CommandError
from lab.providers.wire import Props

# At a line of this many bytes, the real plugin's log reader (Go's bufio.Scanner) stops reading, and
# the command hangs on its full pipe.
LONGEST_LINE = 64 * 1024

_LINE_TOO_LONG = (
    "the command printed a line of {size} bytes or more: pulumi-command would hang here forever. "
    "Print shorter lines or set logging to none"
)


class Stream(Enum):
    """The two streams of a process."""

    STDOUT = "stdout"
    STDERR = "stderr"


def logged_streams(logging: str | None) -> set[Stream]:
    """The streams that are shown live; none for an unknown value, as in the real plugin."""
    match logging:
        case None | "stdoutAndStderr":
            return {Stream.STDOUT, Stream.STDERR}
        case "stdout" | "stderr":
            return {Stream(logging)}
        case _:
            return set()


class LineTooLong(CommandError):
    """The real plugin would hang."""

    def __init__(self) -> None:
        super().__init__(_LINE_TOO_LONG.format(size=LONGEST_LINE))


class Transcript:
    """Everything that a command printed. Lines of the logged streams go to `show` as they arrive.

    Use it in an `async with`; at the end of the block, every line has been shown. As in the real
    plugin, the streams are merged before they are split into lines, so unfinished lines of both
    may become one.
    """

    def __init__(self, show: Callable[[str], Awaitable[None]], logged: set[Stream]) -> None:
        self._show = show
        self._logged = logged
        self._captured = {Stream.STDOUT: bytearray(), Stream.STDERR: bytearray()}
        self._joined = bytearray()
        self._line = bytearray()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._showing = asyncio.create_task(self._show_lines())

    async def __aenter__(self) -> Transcript:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._line:
            self._put(bytes(self._line))
        self._lines.put_nowait(None)
        await self._showing

    def feed(self, stream: Stream, data: bytes) -> None:
        """Add output. Raises LineTooLong for a logged line at which the real plugin would hang."""
        self._captured[stream] += data
        self._joined += data
        if stream not in self._logged:
            return
        *complete, rest = (bytes(self._line) + data).split(b"\n")
        for line in complete:
            self._put(line)
        if len(rest) >= LONGEST_LINE:
            raise LineTooLong
        self._line[:] = rest

    def _put(self, line: bytes) -> None:
        if len(line) >= LONGEST_LINE:
            raise LineTooLong
        self._lines.put_nowait(line.removesuffix(b"\r"))

    async def _show_lines(self) -> None:
        while (line := await self._lines.get()) is not None:
            await self._show(line.decode(errors="replace"))

    @property
    def joined(self) -> str:
        """Both streams merged, for error messages."""
        return self._joined.decode(errors="replace")

    def outputs(self) -> Props:
        """`stdout` and `stderr` for the state, without one trailing newline each.

        Raises CommandError if they are not UTF-8: the real plugin then fails to answer.
        """
        try:
            return {
                stream.value: bytes(data).removesuffix(b"\n").decode()
                for stream, data in self._captured.items()
            }
        except UnicodeDecodeError as error:
            raise CommandError(
                "grpc: error while marshaling: string field contains invalid UTF-8",
                grpc.StatusCode.INTERNAL,
            ) from error
