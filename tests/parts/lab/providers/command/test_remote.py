"""remote.Command: what runs when, what it sees, and what comes back."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from lab.providers.wire import Props
from tests.parts.lab.providers.command.engine import REMOTE, Engine, Failed
from tests.parts.lab.providers.command.far_side import FarSide


async def run(engine: Engine, far_side: FarSide, command: str, **inputs: object) -> Props:
    props = {"connection": far_side.connection(), "create": command, **inputs}
    _, state = await engine.create(REMOTE, props)
    return state


async def test_output_is_captured_apart_and_one_trailing_newline_is_cut(
    engine: Engine, far_side: FarSide
) -> None:
    state = await run(engine, far_side, "printf 'out\\n\\n'; printf 'err\\n' >&2")

    assert (state["stdout"], state["stderr"]) == ("out\n", "err")


async def test_there_is_no_terminal(engine: Engine, far_side: FarSide) -> None:
    await run(engine, far_side, "true")

    assert far_side.terminals == [None]


async def test_a_megabyte_of_stdin_arrives_whole(engine: Engine, far_side: FarSide) -> None:
    state = await run(engine, far_side, "wc -c", stdin="x" * 1024 * 1024)

    assert state["stdout"].strip() == str(1024 * 1024)


async def test_without_stdin_the_command_reads_end_of_file(
    engine: Engine, far_side: FarSide
) -> None:
    state = await run(engine, far_side, "cat; echo done")

    assert state["stdout"] == "done"


async def test_unread_stdin_beyond_the_window_fails_a_command_that_exits_zero(
    engine: Engine, far_side: FarSide
) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, far_side, "exec 0<&-; sleep 0.2", stdin="x" * 5 * 1024 * 1024)

    assert failed.value.text == 'EOF: running "exec 0<&-; sleep 0.2":\n'


async def test_a_failure_shows_the_status_the_command_and_all_output(
    engine: Engine, far_side: FarSide
) -> None:
    command = 'echo "a"; sleep 0.1; echo b >&2; exit 3'

    with pytest.raises(Failed) as failed:
        await run(engine, far_side, command)

    assert failed.value.code is grpc.StatusCode.UNKNOWN
    assert failed.value.text == (
        'Process exited with status 3: running "echo \\"a\\"; sleep 0.1; echo b >&2; exit 3":\n'
        "a\nb\n"
    )


@pytest.mark.parametrize(
    ("signal", "status"), [("KILL", 137), ("TERM", 143), ("SEGV", 139), ("USR1", 128)]
)
async def test_a_signal_is_reported(
    engine: Engine, far_side: FarSide, signal: str, status: int
) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, far_side, f"die by {signal}")

    assert failed.value.text.startswith(
        f"Process exited with status {status} from signal {signal}: running"
    )


async def test_a_lost_connection_is_reported(engine: Engine, far_side: FarSide) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, far_side, "hang up")

    assert failed.value.text == (
        'wait: remote command exited without exit status or exit signal: running "hang up":\n'
    )


async def test_lines_are_shown_while_the_command_runs(engine: Engine, far_side: FarSide) -> None:
    gate = far_side.folder / "gate"
    command = f"echo one; while ! [ -e {gate} ]; do sleep 0.05; done; echo two >&2"

    running = asyncio.create_task(run(engine, far_side, command))
    await engine.log.wait_for("one")
    assert not running.done()
    gate.touch()
    await running

    assert engine.log.messages == [("INFO", "one", True), ("INFO", "two", True)]


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        ("stdout", ["out"]),
        ("stderr", ["err"]),
        ("stdoutAndStderr", ["err", "out"]),
        ("none", []),
        ("nonsense", []),
    ],
)
async def test_logging_affects_only_lines_shown_while_running(
    engine: Engine, far_side: FarSide, logging: str, shown: list[str]
) -> None:
    state = await run(engine, far_side, "echo out; echo err >&2", logging=logging)

    assert (state["stdout"], state["stderr"]) == ("out", "err")
    assert sorted(engine.log.statuses()) == shown


async def test_a_line_that_would_hang_the_real_plugin_fails(
    engine: Engine, far_side: FarSide
) -> None:
    with pytest.raises(Failed, match="would hang here forever"):
        await run(engine, far_side, "head -c 70000 /dev/zero | tr '\\0' x")


async def test_a_long_line_is_accepted_without_logging(engine: Engine, far_side: FarSide) -> None:
    state = await run(engine, far_side, "head -c 70000 /dev/zero | tr '\\0' x", logging="none")

    assert len(state["stdout"]) == 70000


async def test_output_that_is_not_text_fails_after_the_command_has_run(
    engine: Engine, far_side: FarSide
) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, far_side, "touch ran; printf '\\377\\n'")

    assert failed.value.code is grpc.StatusCode.INTERNAL
    assert failed.value.text == (
        "grpc: error while marshaling: string field contains invalid UTF-8"
    )
    assert (far_side.folder / "ran").exists()
    assert engine.log.statuses() == ["\ufffd"]


async def test_environment_reaches_the_command(engine: Engine, far_side: FarSide) -> None:
    state = await run(engine, far_side, 'echo "$GREETING"', environment={"GREETING": "hi there"})

    assert state["stdout"] == "hi there"


async def test_a_refused_variable_fails_the_command_before_it_runs(
    engine: Engine, far_side: FarSide
) -> None:
    far_side.accepted_variables = {"GOOD"}

    with pytest.raises(Failed) as failed:
        await run(engine, far_side, "true", environment={"GOOD": "1", "BAD": "2"})

    assert failed.value.text == 'could not set environment variable "BAD": ssh: setenv failed'
    assert far_side.commands == []
    [(severity, text)] = engine.log.lasting()
    assert severity == "ERROR"
    assert text.startswith("Unable to set 'BAD'.")
    assert "AcceptEnv" in text


async def test_a_running_command_outlives_its_timeout_with_a_warning(
    engine: Engine, far_side: FarSide
) -> None:
    gate = far_side.folder / "gate"
    props = {
        "connection": far_side.connection(),
        "create": f"while ! [ -e {gate} ]; do sleep 0.05; done; echo late",
    }

    running = asyncio.create_task(engine.create(REMOTE, props, timeout=1))
    await engine.log.wait_for("still runs")
    gate.touch()
    _, state = await running

    assert state["stdout"] == "late"
    [(severity, text)] = engine.log.lasting()
    assert severity == "WARNING"
    assert text.startswith("context deadline exceeded, but the remote command still runs")


async def test_ctrl_c_does_not_stop_a_running_command(engine: Engine, far_side: FarSide) -> None:
    gate = far_side.folder / "gate"
    command = f"echo here; while ! [ -e {gate} ]; do sleep 0.05; done; echo late"

    running = asyncio.create_task(run(engine, far_side, command))
    await engine.log.wait_for("here")
    await engine.cancel()
    await engine.log.wait_for("context canceled, but the remote command still runs")
    gate.touch()

    assert (await running)["stdout"] == "here\nlate"


async def test_connections_are_closed(engine: Engine, far_side: FarSide) -> None:
    for _ in range(3):
        await run(engine, far_side, "true")

    await far_side.all_closed()
    assert far_side.connections == 3
