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
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from lab.providers.command import gotext
from lab.providers.command.errors import CommandError
from lab.providers.command.globs import GlobError, matching_files
from lab.providers.command.operation import Operation
from lab.providers.command.output import Stream, Transcript, logged_streams
from lab.providers.wire import Asset, Props

_SHELL = ["/bin/sh", "-c"]
_CHUNK = 64 * 1024


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
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            cwd=folder,
            env=_environment(inputs, previous),
            stdin=PIPE if stdin else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
    except OSError as error:
        return f"fork/exec {arguments[0]}: {gotext.os_error(error)}"
    killing = asyncio.create_task(_kill_when_ended(process, operation))
    try:
        await _converse(process, stdin, transcript)
        returncode = await process.wait()
    finally:
        killing.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()  # only still there when the output could not be taken
    return gotext.exit_status(returncode) if returncode else None


def _cannot_start(program: str, folder: str) -> str | None:
    if not os.path.isdir(folder):
        reason = "not a directory" if os.path.exists(folder) else "no such file or directory"
        return f"chdir {folder}: {reason}"
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


async def _converse(process: Process, stdin: str, transcript: Transcript) -> None:
    await asyncio.gather(
        _read(process.stdout, Stream.STDOUT, transcript),
        _read(process.stderr, Stream.STDERR, transcript),
        _write(process.stdin, stdin.encode()),
    )


async def _read(
    reader: asyncio.StreamReader | None, stream: Stream, transcript: Transcript
) -> None:
    assert reader is not None
    while chunk := await reader.read(_CHUNK):
        transcript.feed(stream, chunk)


async def _write(writer: asyncio.StreamWriter | None, data: bytes) -> None:
    if writer is None:
        return
    # A command that does not read its input is no error: Go ignores EPIPE here.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _kill_when_ended(process: Process, operation: Operation) -> None:
    await operation.wait_ended()
    with contextlib.suppress(ProcessLookupError):
        process.kill()


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
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"open {path}: {gotext.os_error(error)}") from error
    return Asset("path", path, hashlib.sha256(content).hexdigest())
