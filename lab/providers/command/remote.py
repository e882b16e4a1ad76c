"""Runs a command on a remote host: one connection, one session, no terminal.

As in the real plugin, timeouts and Ctrl-C do not interrupt a running command; the remote side must
limit it (`timeout 900 …`). This plugin adds a warning.
"""

from __future__ import annotations

import asyncio

import asyncssh

from lab.providers.command import gotext
from lab.providers.command.channel import CommandChannel
from lab.providers.command.connection import connection
from lab.providers.command.dial import dialled, refusal
from lab.providers.command.errors import CommandError
from lab.providers.command.operation import Operation, Severity
from lab.providers.command.output import LineTooLong, Stream, Transcript, logged_streams
from lab.providers.wire import Props

_PREVIOUS_OUTPUT = {
    "PULUMI_COMMAND_STDOUT": "stdout",
    "PULUMI_COMMAND_STDERR": "stderr",
}

# The signals that have a number in Go's ssh package; others count as 0.
_SIGNALS = {
    "ABRT": 6, "ALRM": 14, "FPE": 8, "HUP": 1, "ILL": 4, "INT": 2,
    "KILL": 9, "PIPE": 13, "QUIT": 3, "SEGV": 11, "TERM": 15,
}  # fmt: skip

_NO_ACCEPT_ENV = """Unable to set '{name}'. This only works if your SSH server is configured to \
accept
	these variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the \
remote host, you could
	prefix the command itself with the variables in the form 'VAR=value command'"""

_STILL_RUNNING = (
    "{reason}, but the remote command still runs, and this plugin cannot stop it. "
    "Limit it on the remote host, for example with timeout(1)"
)


async def run(inputs: Props, previous: Props, command: str, operation: Operation) -> Props:
    """Run the command and return its `stdout` and `stderr`. Raises CommandError if it fails.

    `previous` are the outputs of the last run, for the command's environment.
    """
    async with (
        dialled(connection(inputs["connection"]), operation) as ssh,
        Transcript(operation.status, logged_streams(inputs.get("logging"))) as transcript,
    ):
        session = _Session(transcript)
        try:
            channel = await CommandChannel.open(ssh, session)
        except asyncssh.ChannelOpenError as error:
            raise CommandError(refusal(error)) from error
        await _set_environment(channel, inputs, previous, operation)
        reason = await _execute(channel, session, command, inputs.get("stdin", ""), operation)
    if reason:
        raise CommandError(f"{reason}: running {gotext.quote(command)}:\n{transcript.joined}")
    return transcript.outputs()


async def _set_environment(
    channel: CommandChannel, inputs: Props, previous: Props, operation: Operation
) -> None:
    for name, value in inputs.get("environment", {}).items():
        if not await channel.setenv(name, value):
            await operation.say(Severity.ERROR, _NO_ACCEPT_ENV.format(name=name))
            refused = f"could not set environment variable {gotext.quote(name)}"
            raise CommandError(f"{refused}: ssh: setenv failed")
    if not inputs.get("addPreviousOutputInEnv", True):
        return
    for name, output in _PREVIOUS_OUTPUT.items():
        value = previous.get(output, "")
        if value and not await channel.setenv(name, value):
            await operation.say(Severity.WARNING, _NO_ACCEPT_ENV.format(name=name))


async def _execute(
    channel: CommandChannel,
    session: _Session,
    command: str,
    stdin: str,
    operation: Operation,
) -> str | None:
    """Start the command and wait for its end. Returns Go's message if it failed."""
    if not await channel.execute(command):
        return f"ssh: command {command} failed"
    if stdin:
        channel.write(stdin.encode())
    channel.write_eof()
    warning = asyncio.create_task(_warn_when_ended(operation))
    try:
        await session.closed
    finally:
        warning.cancel()
    return _failure(channel) or ("EOF" if session.unread_stdin else None)


async def _warn_when_ended(operation: Operation) -> None:
    reason = await operation.wait_ended()
    await operation.say(Severity.WARNING, _STILL_RUNNING.format(reason=reason))


def _failure(channel: CommandChannel) -> str | None:
    signalled = channel.get_exit_signal()
    if signalled:
        name, _, message, _ = signalled
        status = f"Process exited with status {128 + _SIGNALS.get(name, 0)} from signal {name}"
        return f"{status}. Reason was: {message}" if message else status
    status_code = channel.get_exit_status()
    if status_code is None:
        return "wait: remote command exited without exit status or exit signal"
    return f"Process exited with status {status_code}" if status_code else None


class _Session(asyncssh.SSHClientSession[bytes]):
    """Collects what the channel receives."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the channel is closed; fails with LineTooLong."""
        self.unread_stdin = False
        """The command ended before all of its input was sent; the real plugin then fails."""

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        is_error = datatype == asyncssh.EXTENDED_DATA_STDERR
        try:
            self._transcript.feed(Stream.STDERR if is_error else Stream.STDOUT, data)
        except LineTooLong as error:
            if not self.closed.done():
                self.closed.set_exception(error)

    def exit_status_received(self, status: int) -> None:
        del status
        assert self._channel is not None
        self.unread_stdin = self._channel.get_write_buffer_size() > 0

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a lost connection shows as a missing exit status, as in the real plugin
        if not self.closed.done():
            self.closed.set_result(None)
