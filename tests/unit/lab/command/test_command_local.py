"""local.Command and local.run: the process, its environment, and the files it leaves."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import grpc
import pytest

from lab.providers.command.globs import GlobError, compiled
from lab.providers.wire import Asset, Props, load_map
from tests.unit.lab.command.engine import LOCAL, Engine, Failed


async def run(engine: Engine, command: str, **inputs: object) -> Props:
    _, state = await engine.create(LOCAL, {"create": command, **inputs})
    return state


async def test_output_is_captured_and_shown(engine: Engine) -> None:
    state = await run(engine, "echo out; echo err >&2")

    assert (state["stdout"], state["stderr"]) == ("out", "err")
    assert sorted(engine.log.statuses()) == ["err", "out"]


async def test_a_failure_shows_the_status_and_all_output(engine: Engine) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, "echo hi; exit 3")

    assert failed.value.code is grpc.StatusCode.UNKNOWN
    assert failed.value.text == 'exit status 3: running "echo hi; exit 3":\nhi\n'


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"dir": "/nowhere"}, "chdir /nowhere: no such file or directory"),
        ({"interpreter": ["nosuch"]}, 'exec: "nosuch": executable file not found in $PATH'),
        ({"interpreter": ["/nosuch"]}, "fork/exec /nosuch: no such file or directory"),
    ],
)
async def test_what_cannot_start_is_told(
    engine: Engine, inputs: dict[str, object], text: str
) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, "true", **inputs)

    assert failed.value.text == f'{text}: running "true":\n'


async def test_the_interpreter_gets_the_command_as_last_argument(engine: Engine) -> None:
    state = await run(engine, "print(1 + 1)", interpreter=["python3", "-c"])

    assert state["stdout"] == "2"


async def test_stdin_and_environment_reach_the_process(engine: Engine) -> None:
    state = await run(engine, 'echo "$A $(cat)"', stdin="in", environment={"A": "env"})

    assert state["stdout"] == "env in"


async def test_unread_stdin_is_no_error(engine: Engine) -> None:
    state = await run(engine, "true", stdin="x" * 5 * 1024 * 1024)

    assert state["stdout"] == ""


async def test_update_sees_the_last_output(engine: Engine) -> None:
    state = await run(engine, "echo one")

    state = await engine.update(LOCAL, state, {"create": "echo [$PULUMI_COMMAND_STDOUT]"})

    assert state["stdout"] == "[one]"


async def test_a_timeout_kills_the_shell(engine: Engine) -> None:
    with pytest.raises(Failed) as failed:
        await engine.create(LOCAL, {"create": "exec sleep 60"}, timeout=1)

    assert failed.value.text == 'signal: killed: running "exec sleep 60":\n'


async def test_ctrl_c_kills_the_shell(engine: Engine) -> None:
    running = asyncio.create_task(run(engine, "echo here; exec sleep 60"))
    await engine.log.wait_for("here")
    await engine.cancel()

    with pytest.raises(Failed, match="signal: killed"):
        await running


async def test_a_line_that_would_hang_the_real_plugin_fails(engine: Engine) -> None:
    with pytest.raises(Failed, match="would hang here for ever"):
        await run(engine, "head -c 70000 /dev/zero | tr '\\0' x; sleep 60")


async def test_files_are_collected_after_the_command(engine: Engine, tmp_path: Path) -> None:
    command = "mkdir a; echo 1 > a/one.txt; echo 2 > two.txt; echo 3 > secret.txt"

    state = await run(
        engine,
        command,
        dir=str(tmp_path),
        assetPaths=["*.txt", "!secret*"],
        archivePaths=["**/*.txt"],
    )

    digest = hashlib.sha256(b"2\n").hexdigest()
    assert state["assets"] == {"two.txt": Asset("path", f"{tmp_path}/two.txt", digest)}
    assert list(state["archive"].value) == ["a/one.txt"]


async def test_a_bad_glob_fails_after_the_command_has_run(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, "touch ran", dir=str(tmp_path), assetPaths=["[a"])

    assert failed.value.text == "unexpected end of input"
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("pattern", "matches", "misses"),
    [
        ("*.txt", ["a.txt", ".txt"], ["a/b.txt", "a.txt2"]),
        ("**.js", ["a.js", "a/b/c.js"], ["a.ts"]),
        ("src/**", ["src/a", "src/a/b"], ["lib/a"]),
        ("?", ["a"], ["/", "ab"]),
        ("[ab]c", ["ac", "bc"], ["cc"]),
        ("[!ab]c", ["cc"], ["ac"]),
        ("[a-c]", ["b"], ["d", "-"]),
        ("{one,t*o}.x", ["one.x", "two.x"], ["three.x"]),
        ("\\*", ["*"], ["a"]),
        ("a+b", ["a+b"], ["aab"]),
    ],
)
def test_globs_match_as_upstream(pattern: str, matches: list[str], misses: list[str]) -> None:
    glob = compiled(pattern)

    assert [path for path in [*matches, *misses] if glob.fullmatch(path)] == matches


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("[a", "unexpected end of input"),
        ("[", "unexpected end of input"),
        ("[]", "could not parse range"),
        ("[c-a]", "hi character 'a' should be greater than lo 'c'"),
        ("[a-cd]", "expected close range character"),
    ],
)
def test_malformed_globs_are_refused(pattern: str, text: str) -> None:
    with pytest.raises(GlobError) as error:
        compiled(pattern)

    assert str(error.value) == text


async def test_run_returns_its_arguments_and_output(engine: Engine) -> None:
    response = await engine.invoke("command:local:run", {"command": "echo hi"})

    returned = load_map(getattr(response, "return"))
    assert returned == {"command": "echo hi", "stdout": "hi", "stderr": ""}


async def test_run_without_a_command_is_refused(engine: Engine) -> None:
    response = await engine.invoke("command:local:run", {})

    [failure] = response.failures
    assert failure.reason == "Missing required field 'command' on 'local.RunInputs'"


async def test_a_function_that_is_not_in_the_package_is_not_found(engine: Engine) -> None:
    with pytest.raises(Failed) as failed:
        await engine.invoke("command:local:nope", {})

    assert failed.value.code is grpc.StatusCode.NOT_FOUND
    assert failed.value.text == "Invoke 'local:nope' not found"


async def test_a_resource_that_is_not_in_the_package_is_not_found(engine: Engine) -> None:
    with pytest.raises(Failed) as failed:
        await engine.create("command:x:Nope", {})

    assert failed.value.code is grpc.StatusCode.NOT_FOUND
    assert failed.value.text == "Resource 'x:Nope' not found"
