"""An SSH session channel that sets its environment with an answer, and one command.

asyncssh sends `env` requests without asking for a reply, so it does not notice a refusal. The
request with a reply needs private methods of the channel (tested with asyncssh 2.24.1).
"""

from __future__ import annotations

import asyncio

import asyncssh
from asyncssh.channel import SSHClientChannel
from asyncssh.packet import String

_WINDOW = 2 * 1024 * 1024
_PACKET = 32 * 1024


class CommandChannel(SSHClientChannel[bytes]):
    """A session without a terminal. Use it as `open`, `setenv`…, `execute`."""

    @classmethod
    async def open(
        cls, connection: asyncssh.SSHClientConnection, session: asyncssh.SSHClientSession[bytes]
    ) -> CommandChannel:
        """Open the channel. Raises asyncssh.ChannelOpenError if the server refuses."""
        loop = asyncio.get_running_loop()
        channel = cls(connection, loop, "strict", None, "strict", _WINDOW, _PACKET)
        confirmation = await channel._open(b"session")
        confirmation.check_end()
        channel._session = session
        session.connection_made(channel)
        return channel

    async def setenv(self, name: str, value: str) -> bool:
        """Ask for a variable in the command's environment. False if the server refuses."""
        return bool(await self._make_request(b"env", String(name), String(value)))

    async def execute(self, command: str) -> bool:
        """Start the command. False if the server refuses."""
        accepted = await self._make_request(b"exec", String(command))
        if accepted:
            self._session.session_started()
            self._conn.create_task(self._start_reading(), self.logger)
        return bool(accepted)
