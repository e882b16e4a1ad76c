"""Running a command on this machine, and collecting the files it made.

A timeout or Ctrl-C kills the shell. What it started in the background and holds its output open
keeps the operation waiting, as in the real plugin.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import posixpath
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from lab.providers.command import gotext
from lab.providers.command.errors import CommandError
from lab.providers.command.globs import GlobError, matching_files
from lab.providers.command.operation import Operation
from lab.providers.command.output import LineTooLong, Stream, Transcript, logged_streams
from lab.providers.wire import Asset, Props

_SHELL = ["/bin/sh", "-c"]


async def run(inputs: Props, previous: Props, command: str, operation: Operation) -> Props:
    """Run the command and return its `stdout`, `stderr`, `assets` and `archive`.

    CommandError when it fails. `previous` are the outputs of the last run.
    """
    folder = inputs.get("dir") or os.getcwd()
    logged = logged_streams(inputs.get("logging"))
    async with Transcript(operation.status, logged) as transcript:
        reason = await _execute(inputs, previous, command, folder, transcript, operation)
    if reason:
        raise CommandError(f"{reason}: running {gotext.quote(command)}:\n{transcript.joined}")
    return {**_files(inputs, folder), **transcript.outputs()}


async def _execute(
    inputs: Props,
    previous: Props,
    command: str,
    folder: str,
    transcript: Transcript,
    operation: Operation,
) -> str | None:
    """Run the process to its end. Returns what went wrong, in Go's words, if anything did."""
    arguments = [*(inputs.get("interpreter") or _SHELL), command]
    problem = _cannot_start(arguments[0], folder)
    if problem:
        return problem
    stdin = inputs.get("stdin", "")
    loop = asyncio.get_running_loop()
    try:
        transport, process = await loop.subprocess_exec(
            lambda: _Process(transcript),
            *arguments,
            cwd=folder,
            env=_environment(inputs, previous),
            stdin=PIPE if stdin else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
    except OSError as error:
        return f"fork/exec {arguments[0]}: {gotext.os_error(error)}"
    killing = asyncio.create_task(_kill_when_ended(transport, operation))
    try:
        _feed(transport, stdin)
        await process.ended
    finally:
        killing.cancel()
        transport.close()  # kills what still runs, which is only so when a line was too long
    returncode = transport.get_returncode()
    return gotext.exit_status(returncode) if returncode else None


class _Process(asyncio.SubprocessProtocol):
    """Collects what the process prints."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the process is gone and nobody holds its output open; or LineTooLong."""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        try:
            self._transcript.feed(Stream.STDOUT if fd == 1 else Stream.STDERR, data)
        except LineTooLong as error:
            if not self.ended.done():
                self.ended.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.ended.done():
            self.ended.set_result(None)


def _feed(transport: asyncio.SubprocessTransport, stdin: str) -> None:
    """Send the input. A command that does not read it is no error: Go ignores EPIPE here."""
    pipe = transport.get_pipe_transport(0)
    if isinstance(pipe, asyncio.WriteTransport):
        pipe.write(stdin.encode())
        pipe.write_eof()


async def _kill_when_ended(transport: asyncio.SubprocessTransport, operation: Operation) -> None:
    await operation.wait_ended()
    with contextlib.suppress(ProcessLookupError):
        transport.kill()


def _cannot_start(program: str, folder: str) -> str | None:
    if not os.path.exists(folder):
        return f"chdir {folder}: no such file or directory"
    if "/" not in program and shutil.which(program) is None:
        return f"exec: {gotext.quote(program)}: executable file not found in $PATH"
    return None


def _environment(inputs: Props, previous: Props) -> dict[str, str]:
    """The plugin's own environment, the input's, and the last output unless it is not wanted."""
    environment = {**os.environ, **inputs.get("environment", {})}
    if inputs.get("addPreviousOutputInEnv", True):
        for name in ("stdout", "stderr"):
            if previous.get(name):
                environment[f"PULUMI_COMMAND_{name.upper()}"] = previous[name]
    return environment


def _files(inputs: Props, folder: str) -> Props:
    """The files that `assetPaths` and `archivePaths` select, after the command has run."""
    found: Props = {}
    if "assetPaths" in inputs:
        found["assets"] = _assets(folder, inputs["assetPaths"])
    if "archivePaths" in inputs:
        content = _assets(folder, inputs["archivePaths"])
        listing = "".join(f"{path}\0{asset.hash}\n" for path, asset in sorted(content.items()))
        digest = hashlib.sha256(listing.encode()).hexdigest()
        found["archive"] = Asset("assets", content, digest, archive=True)
    return found


def _assets(folder: str, patterns: list[str]) -> dict[str, Asset]:
    try:
        paths = matching_files(Path(folder), patterns)
    except GlobError as error:
        raise CommandError(str(error)) from error
    return {path: _asset(posixpath.normpath(posixpath.join(folder, path))) for path in paths}


def _asset(path: str) -> Asset:
    if os.path.isdir(path):  # a link to one
        raise CommandError(f"asset path '{path}' is a directory; try using an archive")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"open {path}: {gotext.os_error(error)}") from error
    return Asset("path", path, hashlib.sha256(content).hexdigest())
