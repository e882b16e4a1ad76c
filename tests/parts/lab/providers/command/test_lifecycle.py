"""remote.Command: what runs at each stage, and what a preview shows."""

from __future__ import annotations

import re
from typing import ClassVar

import grpc
import pytest

from lab.providers.wire import UNKNOWN, Props, Secret
from tests.parts.lab.providers.command.engine import REMOTE, Engine, Failed
from tests.parts.lab.providers.command.far_side import FarSide


def inputs(far_side: FarSide, **rest: object) -> Props:
    return {"connection": Secret(far_side.connection()), **rest}


async def test_the_id_is_the_name_and_eight_hex_digits(engine: Engine, far_side: FarSide) -> None:
    new_id, _ = await engine.create(REMOTE, inputs(far_side, create="true"))

    assert re.fullmatch(r"it[0-9a-f]{8}", new_id)


async def test_the_state_holds_inputs_as_given_with_secrets_kept(
    engine: Engine, far_side: FarSide
) -> None:
    given = inputs(far_side, create="echo hi", stdin=Secret("hush"))

    _, state = await engine.create(REMOTE, given)

    assert state == {**given, "stdout": "hi", "stderr": ""}


async def test_without_a_command_nothing_is_dialled(engine: Engine, far_side: FarSide) -> None:
    _, state = await engine.create(REMOTE, inputs(far_side))
    state = await engine.update(REMOTE, state, inputs(far_side, stdin="changed"))
    await engine.delete(REMOTE, state)

    assert (state["stdout"], state["stderr"]) == ("", "")
    assert far_side.connections == 0


async def test_a_preview_runs_nothing_and_leaves_outputs_unknown(
    engine: Engine, far_side: FarSide
) -> None:
    given = inputs(far_side, create="true", stdin=UNKNOWN)

    _, state = await engine.create(REMOTE, given, preview=True)

    assert state == {**given, "stdout": UNKNOWN, "stderr": UNKNOWN}
    assert far_side.connections == 0


async def test_update_runs_the_update_command(engine: Engine, far_side: FarSide) -> None:
    _, state = await engine.create(REMOTE, inputs(far_side, create="echo a", update="echo b"))

    news = inputs(far_side, create="echo a", update="echo b", stdin="x")
    state = await engine.update(REMOTE, state, news)

    assert state["stdout"] == "b"
    assert far_side.commands == ["echo a", "echo b"]


async def test_update_without_its_own_command_runs_create_again(
    engine: Engine, far_side: FarSide
) -> None:
    _, state = await engine.create(REMOTE, inputs(far_side, create="cat", stdin="one"))

    state = await engine.update(REMOTE, state, inputs(far_side, create="cat", stdin="two"))

    assert state["stdout"] == "two"
    assert far_side.commands == ["cat", "cat"]


async def test_a_failed_update_keeps_the_old_state(engine: Engine, far_side: FarSide) -> None:
    _, state = await engine.create(REMOTE, inputs(far_side, create="true"))

    with pytest.raises(Failed, match="Process exited with status 1"):
        await engine.update(REMOTE, state, inputs(far_side, create="false"))


async def test_delete_runs_with_what_is_stored(engine: Engine, far_side: FarSide) -> None:
    given = inputs(
        far_side,
        delete='echo "$A $(cat)" > deleted',
        stdin="in",
        environment={"A": "env"},
    )
    _, state = await engine.create(REMOTE, given)

    await engine.delete(REMOTE, state)

    assert (far_side.folder / "deleted").read_text() == "env in\n"


async def test_the_last_output_is_in_the_environment(engine: Engine, far_side: FarSide) -> None:
    shown = 'echo "[$PULUMI_COMMAND_STDOUT][$PULUMI_COMMAND_STDERR]"'
    _, state = await engine.create(REMOTE, inputs(far_side, create="echo o; echo e >&2"))

    state = await engine.update(REMOTE, state, inputs(far_side, create=shown))

    assert state["stdout"] == "[o][e]"


async def test_the_last_output_is_left_out_on_request(engine: Engine, far_side: FarSide) -> None:
    far_side.accepted_variables = set()
    wanted = inputs(far_side, create="echo $PULUMI_COMMAND_STDOUT.", addPreviousOutputInEnv=False)
    _, state = await engine.create(REMOTE, inputs(far_side, create="echo o"))

    state = await engine.update(REMOTE, state, wanted)

    assert state["stdout"] == "."
    assert engine.log.lasting() == []


async def test_refusing_the_last_output_is_only_a_warning(
    engine: Engine, far_side: FarSide
) -> None:
    far_side.accepted_variables = set()
    _, state = await engine.create(REMOTE, inputs(far_side, create="echo o"))

    state = await engine.update(REMOTE, state, inputs(far_side, create="echo $((1 + 1))"))

    assert state["stdout"] == "2"
    [(severity, text)] = engine.log.lasting()
    assert severity == "WARNING"
    assert text.startswith("Unable to set 'PULUMI_COMMAND_STDOUT'.")


class TestPreviewOfAnUpdate:
    """`stdout` and `stderr` are known exactly when the real plugin says so."""

    OLD: ClassVar[Props] = {
        "connection": Secret({"host": "h"}),
        "create": "x",
        "stdin": "s",
        "stdout": "o",
        "stderr": "",
    }

    async def preview(self, engine: Engine, **changes: object) -> Props:
        news = {**self.OLD, **changes}
        kept = {name: news[name] for name in news if name not in ("stdout", "stderr")}
        kept = {name: value for name, value in kept.items() if value is not None}
        return await engine.update(REMOTE, self.OLD, kept, preview=True)

    @pytest.mark.parametrize(
        "changes",
        [
            {"stdin": "t"},
            {"stdin": None},
            {"stdin": UNKNOWN},
            {"stdin": Secret("s")},
            {"environment": UNKNOWN},
            {"connection": Secret({"host": "other"})},
        ],
        ids=["changed", "removed", "unknown", "made secret", "new and unknown", "moved"],
    )
    async def test_changed_inputs_make_the_outputs_unknown(
        self, engine: Engine, changes: Props
    ) -> None:
        state = await self.preview(engine, **changes)

        assert (state["stdout"], state["stderr"]) == (UNKNOWN, UNKNOWN)

    @pytest.mark.parametrize("added", [{"logging": "none"}, {"environment": {"A": UNKNOWN}}])
    async def test_an_added_input_leaves_them_known(self, engine: Engine, added: Props) -> None:
        state = await self.preview(engine, **added)

        assert (state["stdout"], state["stderr"]) == ("o", "")


async def test_read_echoes_the_state(engine: Engine) -> None:
    response = await engine.read(REMOTE, {})

    assert response.id == "it"
    assert not response.properties.fields


@pytest.mark.parametrize(
    "token", ["command:local:Command", "command:remote:CopyToRemote", "command:remote:CopyFile"]
)
async def test_another_resource_is_refused_by_its_name(engine: Engine, token: str) -> None:
    with pytest.raises(Failed, match=f"no resource '{token}'") as failed:
        await engine.check(token, {})

    assert failed.value.code is grpc.StatusCode.NOT_FOUND


async def test_a_function_is_refused_by_its_name(engine: Engine) -> None:
    with pytest.raises(Failed, match="no function 'command:local:run'"):
        await engine.invoke("command:local:run", {"command": "true"})
