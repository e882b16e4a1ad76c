"""The command plugin, started and driven by the real engine through a resource's whole life."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.parts.lab.providers.command.far_side import FarSide
from tests.parts.lab.providers.pulumi_stack import Outcome, PulumiStack

PROGRAM = """
    import json
    import pulumi
    from pulumi_command import remote

    connection = remote.ConnectionArgs(**json.load(open("connection.json")))
    service = remote.Command("service", connection=connection, {arguments})
    pulumi.export("said", service.stdout)
"""


class RemoteStack:
    """A stack with one remote.Command. The engine runs in a thread: the host lives in this one."""

    def __init__(self, stack: PulumiStack, far_side: FarSide) -> None:
        self._stack = stack
        self._far_side = far_side

    def program(self, arguments: str, **connection: Any) -> None:
        self._stack.file("connection.json", self._connection(connection))
        self._stack.program(PROGRAM.format(arguments=arguments))

    def _connection(self, changes: dict[str, Any]) -> bytes:
        props = self._far_side.connection(**changes)
        names = {"privateKey": "private_key", "hostKey": "host_key"}
        return json.dumps({names.get(name, name): props[name] for name in props}).encode()

    async def __call__(self, command: str, *options: str) -> Outcome:
        outcome: Outcome = await asyncio.to_thread(getattr(self._stack, command), *options)
        return outcome

    async def expect(self, command: str, *options: str) -> str:
        """The text of a command that must succeed."""
        outcome = await self(command, *options)
        assert outcome.succeeded, outcome.text
        return outcome.text

    async def outputs(self) -> dict[str, Any]:
        return await asyncio.to_thread(self._stack.outputs)

    async def exported(self) -> str:
        return await asyncio.to_thread(self._stack.exported)


@pytest.fixture
async def stack(tmp_path: Path, far_side: FarSide) -> RemoteStack:
    folder = tmp_path / "near"
    folder.mkdir()
    made = PulumiStack(folder, {})
    made.plugin("command", "lab.providers.command")
    await asyncio.to_thread(made.init)
    return RemoteStack(made, far_side)


async def test_a_command_lives_from_up_to_destroy(stack: RemoteStack, far_side: FarSide) -> None:
    arguments = 'create="cat", delete="echo deleted; cat", stdin="one", triggers=["a"]'
    stack.program(arguments)
    await stack.expect("preview")
    assert far_side.commands == []
    await stack.expect("up")
    assert await stack.outputs() == {"said": "one"}
    assert far_side.commands == ["cat"]

    await stack.expect("refresh")
    await stack.expect("up", "--expect-no-changes")
    assert far_side.commands == ["cat"]

    stack.program(arguments.replace("one", "two"))
    assert "updated" in await stack.expect("up")
    assert await stack.outputs() == {"said": "two"}
    assert far_side.commands == ["cat", "cat"]

    stack.program(arguments.replace('"a"', '"b"'))
    assert "replaced" in await stack.expect("up")
    assert far_side.commands == ["cat"] * 3 + ["echo deleted; cat"]

    await stack.expect("destroy")
    assert far_side.commands[-1] == "echo deleted; cat"


async def test_a_failed_create_leaves_nothing_and_can_be_repeated(
    stack: RemoteStack, far_side: FarSide
) -> None:
    stack.program('create="echo before; test -e ready", delete="touch deleted"')

    failed = await stack("up")
    assert not failed.succeeded
    assert "Process exited with status 1: running" in failed.text
    assert "before" in failed.text
    assert "remote:Command" not in await stack.exported()

    (far_side.folder / "ready").touch()
    await stack.expect("up")
    assert far_side.commands == ["echo before; test -e ready"] * 2
    assert not (far_side.folder / "deleted").exists()


async def test_the_private_key_is_not_in_the_state(stack: RemoteStack, far_side: FarSide) -> None:
    stack.program('create="true"')
    await stack.expect("up")

    exported = await stack.exported()

    assert "remote:Command" in exported
    assert "PRIVATE KEY" not in exported
    assert far_side.host_key.export_public_key().decode().split()[1] not in exported


async def test_a_host_that_boots_late_is_waited_for(stack: RemoteStack, far_side: FarSide) -> None:
    far_side.refuse_logins = 4
    options = 'pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="5m"))'

    stack.program(f'create="echo up", opts={options}', dial_error_limit=-1)
    shown = await stack.expect("up")

    assert "Dial 4/inf failed: retrying" in shown
    assert far_side.connections == 5
