"""What a command prints: captured apart and together, and shown live, line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum

import grpc

from lab.providers.command.errors import CommandError
from lab.providers.wire import Props

# The real plugin's log reader (Go's bufio.Scanner) gives up at a line of this many bytes, stops
# reading, and the command hangs on its full pipe.
LONGEST_LINE = 64 * 1024

_LINE_TOO_LONG = (
    "the command printed a line of {size} bytes or more: pulumi-command would hang here for ever. "
    "Print shorter lines or set logging to none"
)


class Stream(Enum):
    """The two streams of a process."""

    STDOUT = "stdout"
    STDERR = "stderr"


def logged_streams(logging: str | None) -> set[Stream]:
    """The streams that are shown live. A value that is not known shows nothing, as upstream."""
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
    """Everything a command printed. Lines of the logged streams go to `show` as they come.

    Feed it inside its own `async with`; at the end of that block every line has been shown. The
    streams are merged before they are cut into lines, so unfinished lines of both may run into
    one, as in the real plugin.
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
        """Add output. LineTooLong when a logged line is longer than the real plugin can take."""
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
        """Both streams in the order they came, for error messages."""
        return self._joined.decode(errors="replace")

    def outputs(self) -> Props:
        """`stdout` and `stderr` for the state, without one trailing newline each.

        CommandError if they are not UTF-8: the real plugin then fails to answer the engine.
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
