"""Interrupted orders, with the real engine, SSH, and a cluster that only notes what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.lab.command.far_side import FarSide, far_side_server
from tests.unit.lab.providers.pulumi_stack import PulumiStack

PROGRAM = """
    import json
    import pulumi
    from pulumi_command import remote
    from components.fleet import Node

    machines = pulumi.ComponentResource("fleet:index:Machines", "machines")
    node = Node(
        connection=remote.ConnectionArgs(**json.load(open("connection.json"))),
        scale_set=machines,
        scale_set_name="core",
    )
    order = {order!r}
    if order:
        node.order(
            "hello", "apply", {{"image": order}}, seconds=60, delete="sudo remove", parent=machines
        )
"""
# Notes the verb, the time of the order and what was ordered; applying takes while it is told to.
SUDO = """\
#!/bin/bash
case $* in
  remove)
    echo remove >> "$0.calls"
    while [[ -e $0.busy ]]; do sleep 0.1; done
    ;;
  *)
    echo "apply ${*: -1} $(jq --raw-output .image)" >> "$0.calls"
    while [[ -e $0.busy ]]; do sleep 0.1; done
    [[ ! -e $0.broken ]]
    ;;
esac
"""


class Cluster:
    """A stack with one service, and the node that its commands reach."""

    def __init__(self, stack: PulumiStack, sudo: Path) -> None:
        self._stack = stack
        self._sudo = sudo

    async def up(self, order: str | None) -> bool:
        """Whether it succeeded."""
        self._configure(order)
        outcome = await asyncio.to_thread(self._stack.up)
        return outcome.succeeded

    async def up_is_killed(self, order: str | None) -> None:
        """While the node is at work."""
        self._configure(order)
        self._flag("busy").touch()
        known = len(self.calls)
        await asyncio.to_thread(
            self._stack.killed,
            *("up", "--yes", "--skip-preview", "--non-interactive"),
            when=lambda: len(self.calls) > known,
        )
        self._flag("busy").unlink()
        await asyncio.to_thread(self._stack.run, "cancel", "--yes")

    def breaks(self, broken: bool) -> None:
        if broken:
            self._flag("broken").touch()
        else:
            self._flag("broken").unlink()

    @property
    def calls(self) -> list[str]:
        """Verbs and orders, without times."""
        return [" ".join(call.split()[::2]) for call in self._noted()]

    @property
    def times(self) -> list[str]:
        return [call.split()[1] for call in self._noted() if call.startswith("apply")]

    def _noted(self) -> list[str]:
        file = self._flag("calls")
        return file.read_text().splitlines() if file.exists() else []

    def _flag(self, name: str) -> Path:
        return self._sudo.with_name(f"sudo.{name}")

    def _configure(self, order: str | None) -> None:
        self._stack.program(PROGRAM.format(order=order))


@pytest.fixture
async def far_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FarSide]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    folder = tmp_path / "far"
    folder.mkdir()
    async with far_side_server(folder) as far_side:
        yield far_side


@pytest.fixture
async def cluster(tmp_path: Path, far_side: FarSide, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    sudo = far_side.folder / "sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", str(far_side.folder), prepend=":")
    (tmp_path / "near").mkdir()
    stack = PulumiStack(tmp_path / "near", {})
    stack.plugin("command", "lab.providers.command")
    names = {"privateKey": "private_key", "hostKey": "host_key"}
    connection = {names.get(key, key): value for key, value in far_side.connection().items()}
    stack.file("connection.json", json.dumps(connection).encode())
    await asyncio.to_thread(stack.init)
    return Cluster(stack, sudo)


async def test_an_unchanged_order_is_sent_once(cluster: Cluster) -> None:
    assert await cluster.up("old")
    assert await cluster.up("old")

    assert cluster.calls == ["apply old"]


async def test_going_back_after_a_killed_up_sends_the_old_order_again(cluster: Cluster) -> None:
    assert await cluster.up("old")
    await cluster.up_is_killed("new")

    assert await cluster.up("old")
    assert await cluster.up("old")

    assert cluster.calls == ["apply old", "apply new", "apply old"]
    assert cluster.times == sorted(set(cluster.times)), "each is later than the one before"


async def test_going_on_after_a_killed_up_sends_the_new_order_again(cluster: Cluster) -> None:
    assert await cluster.up("old")
    await cluster.up_is_killed("new")

    assert await cluster.up("new")
    assert await cluster.up("new")

    assert cluster.calls == ["apply old", "apply new", "apply new"]


async def test_going_back_after_a_failed_rollout_makes_sure(cluster: Cluster) -> None:
    assert await cluster.up("old")
    cluster.breaks(True)
    assert not await cluster.up("new")
    cluster.breaks(False)

    assert await cluster.up("old")
    assert await cluster.up("old")

    assert cluster.calls == ["apply old", "apply new", "apply old"]


async def test_a_first_rollout_that_was_killed_is_removed_with_its_service(
    cluster: Cluster,
) -> None:
    await cluster.up_is_killed("new")

    assert await cluster.up(None)

    assert cluster.calls == ["apply new", "remove"]


async def test_a_service_comes_back_after_a_killed_removal(cluster: Cluster) -> None:
    assert await cluster.up("old")
    await cluster.up_is_killed(None)

    assert await cluster.up("old")

    assert cluster.calls == ["apply old", "remove", "apply old"]
