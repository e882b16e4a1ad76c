"""Dialling: how often, how long apart, with which messages, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import asyncssh
import grpc
import pytest

from lab.providers.command.connection import Endpoint
from lab.providers.command.dial import tcp_connection
from tests.parts.lab.providers.command.engine import REMOTE, Engine, Failed
from tests.parts.lab.providers.command.far_side import HOST, FarSide, far_side_server


async def run(engine: Engine, connection: dict[str, Any], **rest: Any) -> str:
    inputs = {"connection": connection, "create": "echo in"}
    _, state = await engine.create(REMOTE, inputs, **rest)
    return str(state["stdout"])


def refused(port: int) -> str:
    return f"dial tcp {HOST}:{port}: connect: connection refused"


async def test_a_limit_of_n_means_n_plus_one_dials(engine: Engine, closed_port: int) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, {"host": HOST, "port": closed_port, "dialErrorLimit": 3})

    assert failed.value.code is grpc.StatusCode.UNKNOWN
    assert failed.value.text == f"after 3 failed attempts: {refused(closed_port)}"
    assert engine.log.messages == [
        ("INFO", f"Dial {dial}/3 failed: retrying", True) for dial in (1, 2, 3)
    ]


async def test_a_limit_of_zero_dials_once(engine: Engine, closed_port: int) -> None:
    with pytest.raises(Failed, match="after 0 failed attempts: dial tcp"):
        await run(engine, {"host": HOST, "port": closed_port, "dialErrorLimit": 0})

    assert engine.pauses == []


async def test_the_default_limit_pauses_eleven_seconds_in_all(
    engine: Engine, closed_port: int
) -> None:
    with pytest.raises(Failed, match="after 10 failed attempts"):
        await run(engine, {"host": HOST, "port": closed_port})

    assert len(engine.pauses) == 10
    assert engine.pauses[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert sum(engine.pauses) == pytest.approx(11.33, abs=0.01)


async def test_pauses_stop_growing_at_five_seconds(engine: Engine, closed_port: int) -> None:
    with pytest.raises(Failed):
        await run(engine, {"host": HOST, "port": closed_port, "dialErrorLimit": 14})

    assert engine.pauses[9:] == pytest.approx([3.844, 5, 5, 5, 5], abs=0.001)


async def test_without_a_limit_only_the_timeout_ends_it(engine: Engine, closed_port: int) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, {"host": HOST, "port": closed_port, "dialErrorLimit": -1}, timeout=1)

    assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failed.value.text == "context deadline exceeded"
    assert engine.log.statuses()[0] == "Dial 1/inf failed: retrying"


async def test_ctrl_c_ends_a_command_between_dials(engine: Engine, closed_port: int) -> None:
    dialling = asyncio.create_task(
        run(engine, {"host": HOST, "port": closed_port, "dialErrorLimit": -1})
    )
    await engine.log.wait_for("Dial 1/inf")
    await engine.cancel()

    with pytest.raises(Failed) as failed:
        await dialling
    assert failed.value.code is grpc.StatusCode.CANCELLED
    assert failed.value.text == "context canceled"


async def test_a_key_that_is_let_in_late_is_waited_for(engine: Engine, far_side: FarSide) -> None:
    far_side.refuse_logins = 3

    assert await run(engine, far_side.connection()) == "in"

    assert engine.log.statuses()[:3] == [f"Dial {dial}/10 failed: retrying" for dial in (1, 2, 3)]
    assert far_side.connections == 4


async def test_a_refused_key_is_reported_with_the_tried_methods(
    engine: Engine, far_side: FarSide
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()

    with pytest.raises(Failed) as failed:
        await run(engine, far_side.connection(privateKey=other, dialErrorLimit=0))

    assert failed.value.text == (
        "after 0 failed attempts: ssh: handshake failed: ssh: unable to authenticate, "
        "attempted methods [none publickey], no supported methods remain"
    )


async def test_another_host_key_is_refused(engine: Engine, far_side: FarSide) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()

    with pytest.raises(Failed) as failed:
        await run(engine, far_side.connection(hostKey=other, dialErrorLimit=1))

    assert failed.value.text == (
        "after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch"
    )
    assert far_side.logins == []


async def test_only_the_pinned_keys_algorithm_is_offered(engine: Engine, far_side: FarSide) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()

    with pytest.raises(Failed, match="ssh: no common algorithm"):
        await run(engine, far_side.connection(hostKey=other, dialErrorLimit=0))


@pytest.mark.parametrize("prefix", ["# the host's key\n", "10.0.0.4 "])
async def test_a_host_key_may_have_a_comment_or_a_name_before_it(
    engine: Engine, far_side: FarSide, prefix: str
) -> None:
    host_key = prefix + far_side.connection()["hostKey"]

    assert await run(engine, far_side.connection(hostKey=host_key)) == "in"


async def test_without_a_host_key_any_is_accepted(engine: Engine, far_side: FarSide) -> None:
    assert await run(engine, far_side.connection(hostKey=None)) == "in"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hostKey": "nonsense"}, "failed to parse host key: ssh: no key found"),
        ({"privateKey": "nonsense"}, "ssh: no key found"),
        ({"privateKeyPassword": "needless"}, "ssh: key is not password protected"),
        ({"agentSocketPath": "/nowhere"}, "dial unix /nowhere: connect: no such file or directory"),
    ],
)
async def test_permanent_errors_fail_without_a_retry(
    engine: Engine, far_side: FarSide, changes: dict[str, str], text: str
) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, far_side.connection(**changes))

    assert failed.value.text == text
    assert far_side.connections == 0


async def test_an_encrypted_key_needs_its_password(engine: Engine, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    encrypted = key.export_private_key("pkcs1-pem", passphrase="open sesame").decode()

    async with far_side_server(tmp_path, client_key=key) as far_side:
        with pytest.raises(Failed, match="ssh: this private key is passphrase protected"):
            await run(engine, far_side.connection(privateKey=encrypted))
        with pytest.raises(Failed, match="x509: decryption password incorrect"):
            await run(engine, far_side.connection(privateKey=encrypted, privateKeyPassword="wrong"))
        connection = far_side.connection(privateKey=encrypted, privateKeyPassword="open sesame")
        assert await run(engine, connection) == "in"


async def test_the_key_comes_before_the_password(engine: Engine, far_side: FarSide) -> None:
    far_side.password = "secret"
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()

    assert await run(engine, far_side.connection(privateKey=other, password="secret")) == "in"

    assert far_side.logins == ["core publickey", "core password"]


async def test_a_password_alone_is_enough(engine: Engine, far_side: FarSide) -> None:
    far_side.password = "secret"

    assert await run(engine, far_side.connection(privateKey=None, password="secret")) == "in"


async def test_a_dead_agent_in_the_environment_fails_even_with_a_key(
    engine: Engine, far_side: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/gone")

    with pytest.raises(Failed, match="dial unix /gone: connect: no such file or directory"):
        await run(engine, far_side.connection())


async def test_a_silent_host_is_an_error_at_the_timeout_and_not_retried(
    engine: Engine, silent_port: int
) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, {"host": HOST, "port": silent_port}, timeout=1)

    assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "would hang here forever" in failed.value.text
    assert engine.log.statuses() == []


async def test_a_reset_connection_is_dialled_again(engine: Engine, resetting_port: int) -> None:
    with pytest.raises(Failed, match="after 4 failed attempts: ssh: handshake failed: "):
        await run(engine, {"host": HOST, "port": resetting_port, "dialErrorLimit": 4})


async def test_an_invalid_port_is_reported(engine: Engine) -> None:
    with pytest.raises(Failed, match="dial tcp: address 70000: invalid port"):
        await run(engine, {"host": HOST, "port": 70000, "dialErrorLimit": 0})


async def test_a_vanished_host_is_noticed_by_keep_alives(far_side: FarSide) -> None:
    with await tcp_connection(Endpoint(host=HOST, port=far_side.port)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15


async def test_an_unknown_host_name_is_reported(engine: Engine) -> None:
    with pytest.raises(Failed) as failed:
        await run(engine, {"host": "nowhere.invalid", "dialErrorLimit": 0})

    assert failed.value.text == (
        "after 0 failed attempts: dial tcp: lookup nowhere.invalid: no such host"
    )
