"""A plugin and a remote host for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.lab.command.engine import Engine, running_plugin
from tests.unit.lab.command.far_side import AcceptEnvChannel, FarSide, far_side_server


@pytest.fixture(autouse=True)
def _no_ssh_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with running_plugin() as engine:
        yield engine


@pytest.fixture
async def far_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FarSide]:
    monkeypatch.setattr("asyncssh.connection.SSHServerChannel", AcceptEnvChannel)
    folder = tmp_path / "far"
    folder.mkdir()
    async with far_side_server(folder) as far_side:
        yield far_side
