"""The resources of the package: what each of them does when it is made, changed or removed.

Every method gets plain values, without Secret wrappers, and returns the outputs that are not
inputs. None of them is called at a preview.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import asyncssh

from lab.providers.command import local, remote, schema, upload
from lab.providers.command.connection import connection
from lab.providers.command.dial import dialled
from lab.providers.command.errors import CommandError
from lab.providers.command.inputs import Failure
from lab.providers.command.operation import Operation, Severity
from lab.providers.wire import UNKNOWN, Asset, Props, reveal

Run = Callable[[Props, Props, str, Operation], Awaitable[Props]]


class Resource(Protocol):
    """One resource type."""

    inputs: schema.Struct
    computed: frozenset[str]
    """Outputs that a preview cannot know."""
    updatable: bool
    """Whether there is an update; without one every change replaces."""

    def new_id(self, name: str) -> str:
        """The id of a new resource of this name."""
        ...

    def check(self, inputs: Props) -> list[Failure]:
        """What is wrong with inputs that have the right types."""
        ...

    async def create(self, inputs: Props, operation: Operation) -> Props:
        """Make it, and return its outputs."""
        ...

    async def update(self, state: Props, inputs: Props, operation: Operation) -> Props:
        """Change it, and return its outputs."""
        ...

    async def delete(self, state: Props, operation: Operation) -> None:
        """Remove it."""
        ...


class Command:
    """A command for each stage of a resource's life. A stage without one does nothing at all."""

    computed = frozenset({"stdout", "stderr"})
    updatable = True

    def __init__(self, inputs: schema.Struct, run: Run) -> None:
        self.inputs = inputs
        self._run = run

    def new_id(self, name: str) -> str:
        return name + _hex()

    def check(self, inputs: Props) -> list[Failure]:
        del inputs
        return []

    async def create(self, inputs: Props, operation: Operation) -> Props:
        nothing = {"stdout": "", "stderr": ""}
        if "create" not in inputs:
            return nothing
        return await self._run(inputs, nothing, inputs["create"], operation)

    async def update(self, state: Props, inputs: Props, operation: Operation) -> Props:
        previous = {name: value for name, value in state.items() if name not in self.inputs.inputs}
        command = inputs.get("update", inputs.get("create"))
        if command is None:
            return previous
        # Files that a former run collected stay, if this one collects none.
        return {**previous, **await self._run(inputs, previous, command, operation)}

    async def delete(self, state: Props, operation: Operation) -> None:
        if "delete" in state:
            await self._run(state, state, state["delete"], operation)


class CopyToRemote:
    """A file, text or folder on a remote host. Nothing is removed there at the end."""

    inputs = schema.COPY_TO_REMOTE
    computed = frozenset({"source"})  # the framework cannot compare assets, so it calls them new
    updatable = True

    def new_id(self, name: str) -> str:
        del name
        return _hex()

    def check(self, inputs: Props) -> list[Failure]:
        source = reveal(inputs["source"])
        if source is UNKNOWN or not isinstance(source, Asset):
            return [Failure("asset", "either asset or archive must be set")]
        if source.archive and source.kind != "path":
            return [Failure("archive", "archive must be a path to a file or directory")]
        if not source.archive and source.kind not in ("path", "text"):
            return [Failure("asset", "asset must be a path-based file asset or a text asset")]
        return []

    async def create(self, inputs: Props, operation: Operation) -> Props:
        source, target = inputs["source"], inputs["remotePath"]
        host = inputs["connection"]["host"]
        origin = "text asset" if source.kind == "text" else f"local file {source.value}"
        await operation.say(Severity.DEBUG, f"Creating file: {host}:{target} from {origin}")
        async with _sftp(inputs, operation) as sftp:
            if source.kind == "text":
                await upload.copy_text(sftp, source.value, target)
            else:
                await upload.copy_path(sftp, source.value, target)
        return {}

    async def update(self, state: Props, inputs: Props, operation: Operation) -> Props:
        """Copy again only if content or path changed: a new host in `connection` copies nothing."""
        same_content = inputs["source"].hash == state["source"].hash
        if same_content and inputs["remotePath"] == state["remotePath"]:
            return {}
        return await self.create(inputs, operation)

    async def delete(self, state: Props, operation: Operation) -> None:
        """Files stay."""


class CopyFile:
    """The deprecated predecessor of CopyToRemote: one file, and every change replaces."""

    inputs = schema.COPY_FILE
    computed: frozenset[str] = frozenset()
    updatable = False

    def new_id(self, name: str) -> str:
        del name
        return _hex()

    def check(self, inputs: Props) -> list[Failure]:
        del inputs
        return []

    async def create(self, inputs: Props, operation: Operation) -> Props:
        async with _sftp(inputs, operation) as sftp:
            await upload.copy_file(sftp, inputs["localPath"], inputs["remotePath"])
        return {}

    async def update(self, state: Props, inputs: Props, operation: Operation) -> Props:
        raise NotImplementedError("every change replaces: the engine never asks for an update")

    async def delete(self, state: Props, operation: Operation) -> None:
        """The file stays."""


@contextlib.asynccontextmanager
async def _sftp(inputs: Props, operation: Operation) -> AsyncIterator[asyncssh.SFTPClient]:
    async with dialled(connection(inputs["connection"]), operation) as ssh:
        try:
            session = await ssh.start_sftp_client()
        except asyncssh.ChannelOpenError as error:
            raise CommandError("ssh: subsystem request failed") from error
        async with session as sftp:
            yield sftp


def _hex() -> str:
    return secrets.token_hex(4)


RESOURCES: dict[str, Resource] = {
    "remote:Command": Command(schema.REMOTE_COMMAND, remote.run),
    "remote:CopyToRemote": CopyToRemote(),
    "remote:CopyFile": CopyFile(),
    "local:Command": Command(schema.LOCAL_COMMAND, local.run),
}
