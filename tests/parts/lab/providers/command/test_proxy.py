"""Dialling through a jump host, which has retries of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.lab.providers.command.engine import REMOTE, Engine, Failed
from tests.parts.lab.providers.command.far_side import HOST, FarSide, far_side_server


async def run(engine: Engine, connection: dict[str, Any]) -> str:
    _, state = await engine.create(REMOTE, {"connection": connection, "create": "echo in"})
    return str(state["stdout"])


@pytest.fixture
async def proxy(tmp_path: Path, far_side: FarSide) -> AsyncIterator[FarSide]:
    folder = tmp_path / "proxy"
    folder.mkdir()
    async with far_side_server(folder, client_key=far_side.client_key) as proxy:
        yield proxy


async def test_the_command_runs_on_the_host_behind_the_proxy(
    engine: Engine, far_side: FarSide, proxy: FarSide
) -> None:
    assert await run(engine, far_side.connection(proxy=proxy.connection())) == "in"

    assert (far_side.commands, proxy.commands) == (["echo in"], [])


async def test_an_unreachable_proxy_is_reported(
    engine: Engine, far_side: FarSide, closed_port: int
) -> None:
    proxy = {"host": HOST, "port": closed_port, "dialErrorLimit": 1}

    with pytest.raises(Failed) as failed:
        await run(engine, far_side.connection(proxy=proxy))

    assert failed.value.text == (
        "proxy: after 1 failed attempts: "
        f"dial tcp {HOST}:{closed_port}: connect: connection refused"
    )
    assert engine.log.statuses() == ["Dial proxy 1/1 failed: retrying"]


async def test_a_host_behind_a_proxy_has_a_separate_retry_limit(
    engine: Engine, proxy: FarSide, far_side: FarSide, closed_port: int
) -> None:
    connection = far_side.connection(port=closed_port, dialErrorLimit=2, proxy=proxy.connection())

    with pytest.raises(Failed) as failed:
        await run(engine, connection)

    assert failed.value.text.startswith(
        "proxy: after 2 failed attempts: ssh: rejected: connect failed ("
    )
    assert engine.log.statuses() == [
        f"Dial from proxy {dial}/2 failed: retrying" for dial in (1, 2)
    ]


async def test_a_failed_handshake_is_retried_on_the_dead_connection(
    engine: Engine, proxy: FarSide, far_side: FarSide
) -> None:
    far_side.refuse_logins = 1
    connection = far_side.connection(dialErrorLimit=1, proxy=proxy.connection())

    with pytest.raises(Failed) as failed:
        await run(engine, connection)

    assert failed.value.text == ("proxy: after 1 failed attempts: ssh: handshake failed: EOF")
    assert engine.log.statuses() == ["Dial 1/1 failed: retrying"]
    assert far_side.connections == 1
