"""Copying files to a remote host over SFTP, with the real plugin's rules for where they end up.

Files get the server's default owner and mode, are written in place, and nothing is ever deleted.
"""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncssh

from lab.providers.command import gotext
from lab.providers.command.errors import CommandError

_CHUNK = 1024 * 1024


async def copy_text(sftp: asyncssh.SFTPClient, text: str, target: str) -> None:
    """Write a text asset. The target must be a file, its parents are made."""
    if await _is_directory(sftp, target):
        raise CommandError(
            f"remote path {target} is a directory; "
            "when using a text asset, remotePath must be a file path"
        )
    await _make_parents(sftp, target)
    async with _Created(sftp, target) as remote:
        try:
            await remote.write(text.encode())
        except asyncssh.SFTPError as error:
            told = f"failed to write text content to remote path {target}: {_reason(error)}"
            raise CommandError(told) from error


async def copy_path(sftp: asyncssh.SFTPClient, source: str, target: str) -> None:
    """Copy a file or a folder.

    source | target is a directory | target is absent | target is a file
    dir    | target/dir            | target/dir       | error
    dir/   | contents into target  | contents         | error
    file   | target/file           | target           | overwritten
    """
    try:
        is_folder = stat.S_ISDIR(os.stat(source).st_mode)
    except OSError as error:
        raise CommandError(f"open {source}: {gotext.os_error(error)}") from error
    there = await _is_directory(sftp, target)
    if not is_folder:
        if there:
            target = posixpath.join(target, posixpath.basename(source))
        elif there is None:
            await _make_parents(sftp, target)
        await copy_file(sftp, source, target)
        return
    if there is None:
        await _make_directories(sftp, target)
    if not source.endswith("/"):
        target = posixpath.join(target, posixpath.basename(source))
    await _copy_folder(sftp, source, target)


async def _copy_folder(sftp: asyncssh.SFTPClient, source: str, target: str) -> None:
    for path, is_folder in _walk(Path(source)):
        remote = posixpath.normpath(posixpath.join(target, path.relative_to(source).as_posix()))
        if is_folder:
            await _make_directory(sftp, remote)
        else:
            await copy_file(sftp, str(path), remote)


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The folder and all below it in lexical order, and whether each is a folder itself.

    A link to a folder counts as a file, which then cannot be read, as in the real plugin.
    """
    yield folder, True
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path, False


async def copy_file(sftp: asyncssh.SFTPClient, source: str, target: str) -> None:
    """Copy one file onto the target, which is created or overwritten."""
    try:
        with await asyncio.to_thread(open, source, "rb") as local:
            async with _Created(sftp, target) as remote:
                while chunk := await asyncio.to_thread(local.read, _CHUNK):
                    await remote.write(chunk)
    except IsADirectoryError as error:  # a link to one
        reason = f"read {source}: {gotext.os_error(error)}"
        told = f"failed to copy file {source} to remote path {target}: {reason}"
        raise CommandError(told) from error
    except OSError as error:
        raise CommandError(f"open {source}: {gotext.os_error(error)}") from error
    except asyncssh.SFTPError as error:
        told = f"failed to copy file {source} to remote path {target}: {_reason(error)}"
        raise CommandError(told) from error


class _Created:
    """A remote file, created or emptied, for the body of an `async with`."""

    def __init__(self, sftp: asyncssh.SFTPClient, path: str) -> None:
        self._sftp = sftp
        self._path = path

    async def __aenter__(self) -> asyncssh.SFTPClientFile:
        try:
            self._file = await self._sftp.open(self._path, "wb")
        except asyncssh.SFTPError as error:
            told = f"failed to create remote file {self._path}: {_reason(error)}"
            raise CommandError(told) from error
        return self._file

    async def __aexit__(self, *_: object) -> None:
        await self._file.close()


async def _is_directory(sftp: asyncssh.SFTPClient, path: str) -> bool | None:
    """Whether the path is a directory; None if there is nothing."""
    try:
        attributes = await sftp.stat(path)
    except asyncssh.SFTPNoSuchFile:
        return None
    except asyncssh.SFTPError as error:
        raise CommandError(f"failed to stat remote path {path}: {_reason(error)}") from error
    return stat.S_ISDIR(attributes.permissions or 0)


async def _make_parents(sftp: asyncssh.SFTPClient, path: str) -> None:
    try:
        await _make_all(sftp, posixpath.dirname(path) or ".")
    except (asyncssh.SFTPError, NotADirectoryError) as error:
        told = f"failed to create parent directories for {path}: {_reason(error)}"
        raise CommandError(told) from error


async def _make_directories(sftp: asyncssh.SFTPClient, path: str) -> None:
    try:
        await _make_all(sftp, path)
    except (asyncssh.SFTPError, NotADirectoryError) as error:
        raise CommandError(f"failed to create remote directory {path}: {_reason(error)}") from error


async def _make_all(sftp: asyncssh.SFTPClient, path: str) -> None:
    """The directory and its parents, as far as they are missing."""
    try:
        attributes = await sftp.stat(path)
    except asyncssh.SFTPError:
        parent = posixpath.dirname(path.rstrip("/"))
        if parent not in ("", "/"):
            await _make_all(sftp, parent)
        await sftp.mkdir(path)
    else:
        if not stat.S_ISDIR(attributes.permissions or 0):
            raise NotADirectoryError(errno.ENOTDIR, f"mkdir {path}: not a directory")


async def _make_directory(sftp: asyncssh.SFTPClient, path: str) -> None:
    there = await _is_directory(sftp, path)
    if there:
        return
    if there is False:
        raise CommandError(f"remote path {path} exists but is not a directory")
    try:
        await sftp.mkdir(path)
    except asyncssh.SFTPError as error:
        raise CommandError(f"failed to create remote directory {path}: {_reason(error)}") from error


def _reason(error: asyncssh.SFTPError | NotADirectoryError) -> str:
    match error:
        case NotADirectoryError():
            return str(error.strerror)
        case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPNoSuchPath():
            return "file does not exist"
        case asyncssh.SFTPPermissionDenied():
            return "permission denied"
        case asyncssh.SFTPFailure():
            return f'sftp: "{error.reason}" (SSH_FX_FAILURE)'
        case _:
            return f'sftp: "{error.reason}"'
