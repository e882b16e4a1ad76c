"""A remote host for tests: a real SSH server in this process, on 127.0.0.1, with a real shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.channel import SSHServerChannel
from asyncssh.packet import SSHPacket

HOST = "127.0.0.1"


@dataclass
class FarSide:
    """The host's settings, and what it has recorded."""

    folder: Path
    """The working folder of commands and of SFTP."""
    client_key: asyncssh.SSHKey
    host_key: asyncssh.SSHKey
    password: str | None = None
    accepted_variables: set[str] | None = None
    """`AcceptEnv`; None accepts everything."""
    port: int = 0
    commands: list[str] = field(default_factory=list)
    terminals: list[str | None] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    refuse_logins: int = 0
    """This many logins fail before one succeeds."""

    def connection(self, **changes: Any) -> dict[str, Any]:
        """A `connection` input for this host. None removes a property."""
        props = {
            "host": HOST,
            "port": self.port,
            "user": "core",
            "privateKey": self.client_key.export_private_key().decode(),
            "hostKey": self.host_key.export_public_key().decode(),
            **changes,
        }
        return {name: value for name, value in props.items() if value is not None}

    def count(self, change: int) -> None:
        """A connection was opened (+1) or closed (-1)."""
        self.connections += change > 0
        self.open_connections += change
        self._changed.set()

    async def all_closed(self) -> None:
        """Return when no connection is open."""
        while self.open_connections:
            self._changed.clear()
            await self._changed.wait()


class _Server(asyncssh.SSHServer):
    def __init__(self, far_side: FarSide) -> None:
        self.far_side = far_side

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        del conn
        self.far_side.count(+1)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.far_side.count(-1)

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        far_side = self.far_side
        far_side.logins.append(f"{username} publickey")
        if far_side.refuse_logins:
            far_side.refuse_logins -= 1
            return False
        return key.public_data == far_side.client_key.public_data

    def password_auth_supported(self) -> bool:
        return self.far_side.password is not None

    def validate_password(self, username: str, password: str) -> bool:
        self.far_side.logins.append(f"{username} password")
        return password == self.far_side.password

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool:
        """Allows forwarding to any host: this is a jump host too."""
        del dest_host, dest_port, orig_host, orig_port
        return True


class AcceptEnvChannel(SSHServerChannel[bytes]):
    """asyncssh accepts every variable; sshd has AcceptEnv."""

    def _process_env_request(self, packet: SSHPacket) -> bool:
        before = dict(self._env)
        super()._process_env_request(packet)
        server = self._conn.get_owner()
        assert isinstance(server, _Server)
        accepted = server.far_side.accepted_variables
        new = {name.decode() for name in self._env.keys() - before.keys()}
        if accepted is None or new <= accepted:
            return True
        self._env = before
        return False


async def _run(far_side: FarSide, process: asyncssh.SSHServerProcess[bytes]) -> None:
    """The login shell: `sh -c` with the variables that were accepted."""
    command = process.command or ""
    far_side.commands.append(command)
    far_side.terminals.append(process.term_type)
    if command.startswith("die by "):
        process.exit_with_signal(command.removeprefix("die by "))
        return
    if command == "hang up":
        process.channel.get_connection().abort()
        return
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        command,
        cwd=far_side.folder,
        env={**os.environ, **process.env},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert shell.stdin
    assert shell.stdout
    assert shell.stderr
    feeding = asyncio.create_task(_feed(process.stdin, shell.stdin))
    await asyncio.gather(_relay(shell.stdout, process.stdout), _relay(shell.stderr, process.stderr))
    returncode = await shell.wait()
    feeding.cancel()
    process.exit(returncode)


async def _feed(reader: asyncssh.SSHReader[bytes], writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes]) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()


@contextlib.asynccontextmanager
async def far_side_server(folder: Path, **settings: Any) -> AsyncIterator[FarSide]:
    """A host that listens. `settings` are fields of FarSide."""
    keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("client", "host")}
    defaults = {"client_key": keys["client"], "host_key": keys["host"]}
    far_side = FarSide(folder, **{**defaults, **settings})
    server = await asyncssh.create_server(
        lambda: _Server(far_side),
        HOST,
        0,
        server_host_keys=[far_side.host_key],
        process_factory=lambda process: _run(far_side, process),
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder).encode()),
        encoding=None,
    )
    far_side.port = server.sockets[0].getsockname()[1]
    try:
        yield far_side
    finally:
        server.close()
        await server.wait_closed()
