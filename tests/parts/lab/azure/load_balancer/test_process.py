"""The balancer as the process that the lab runs, configured by its file."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.azure.load_balancer.config import BalancingRule, Configuration, Frontend, Probe, dump, load
from tests.eventually import eventually_async
from tests.parts.lab.azure.load_balancer.conftest import Serve
from tests.ports import free_port
from tests.unit.lab.azure.load_balancer.pool import allow, rule, security

FRONTEND = "127.50.0.1"

PROGRAM = """
import asyncio, sys
from pathlib import Path
from lab.azure.load_balancer.__main__ import run
asyncio.run(run(Path(sys.argv[1]), Path(sys.argv[2]), keeps_clients=False))
"""


@dataclass
class Process:
    folder: Path
    process: asyncio.subprocess.Process

    def tell(self, *rules: BalancingRule) -> None:
        frontend = Frontend(address=FRONTEND, rules=rules)
        dump(Configuration(frontends=(frontend,)), self.folder / "load-balancer.json")

    def report(self) -> dict[str, dict[str, object]]:
        path = self.folder / "probes.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    files = (str(tmp_path / "load-balancer.json"), str(tmp_path / "probes.json"))
    started = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *files)
    yield Process(tmp_path, started)
    if started.returncode is None:
        started.terminate()
    assert await asyncio.wait_for(started.wait(), 10) == 0


async def answer(port: int, source: str = "127.1.0.1") -> str | None:
    """What a client gets: a VM's name, or None when it is refused or reset."""
    try:
        reader, writer = await asyncio.open_connection(FRONTEND, port, local_addr=(source, 0))
        received = await reader.read()
        writer.close()
    except OSError:
        return None
    return received.decode()


async def is_refused(port: int) -> bool:
    return await answer(port) is None


async def until_answered(port: int) -> str:
    received: list[str] = []

    async def is_answered() -> bool:
        received.extend(filter(None, [await answer(port)]))
        return bool(received)

    await eventually_async(is_answered)
    return received[0]


async def test_an_added_rule_is_served_and_a_removed_one_is_not(
    process: Process, port: int, frontend_port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port)

    process.tell(rule(frontend_port, port, 1))
    assert await until_answered(frontend_port) == "127.9.0.1"

    process.tell()
    await eventually_async(lambda: is_refused(frontend_port))


async def test_another_rules_change_leaves_connections_alone(
    process: Process, port: int, frontend_port: int, serve: Serve
) -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    async def name(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"other")
        writer.close()

    await serve("127.9.0.1", port, repeat)
    other_port, other_frontend = free_port(), free_port()
    await serve("127.9.0.1", other_port, name)
    kept, other = rule(frontend_port, port, 1), rule(other_frontend, other_port, 1)
    process.tell(kept, other)
    assert await until_answered(other_frontend) == "other"
    reader, writer = await asyncio.open_connection(FRONTEND, frontend_port)

    process.tell(kept)
    await eventually_async(lambda: is_refused(other_frontend))

    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    writer.close()


async def test_probe_states_are_reported_in_the_file(
    process: Process, port: int, frontend_port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port)
    probe = Probe(id="lb/probes/web", protocol="Tcp", port=port, interval=0.05)

    process.tell(rule(frontend_port, port, 2, probe=probe))
    await until_answered(frontend_port)

    states = process.report()["probes"]["lb/probes/web"]
    assert isinstance(states, dict)
    assert states["core/0"]["healthy"] is True
    assert states["core/1"]["healthy"] is False


async def test_a_port_that_is_taken_is_reported_and_tried_again(
    process: Process, port: int, frontend_port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port)
    name = f"{FRONTEND}:{frontend_port}/Tcp"
    with socket.create_server((FRONTEND, frontend_port)):
        process.tell(rule(frontend_port, port, 1))
        await eventually_async(lambda: bool(process.report().get("listeners", {}).get(name)))

    assert await until_answered(frontend_port) == "127.9.0.1"
    assert process.report()["listeners"][name] is None


async def test_a_file_that_makes_no_sense_changes_nothing(
    process: Process, port: int, frontend_port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port)
    process.tell(rule(frontend_port, port, 1))
    await until_answered(frontend_port)

    (process.folder / "load-balancer.json").write_text("{")
    await asyncio.sleep(0.5)

    assert await answer(frontend_port) == "127.9.0.1"


def test_a_configuration_reads_back_as_it_was_written(tmp_path: Path) -> None:
    ssh = security(allow("ssh", 100, "127.0.0.0/8", "22", sourcePortRange="1024-65535"))
    probe = Probe(id="lb/probes/web", protocol="Http", port=8089, path="/health", threshold=2)
    rules = (rule(80, 8080, 3, probe=probe, tcp_reset=True), rule(50022, 22, 3, security=ssh))
    written = Configuration(frontends=(Frontend(address=FRONTEND, rules=rules),))

    dump(written, tmp_path / "file")

    assert load(tmp_path / "file") == written


def test_without_a_file_nothing_is_balanced(tmp_path: Path) -> None:
    assert load(tmp_path / "none") == Configuration()
