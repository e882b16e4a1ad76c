"""The APIs of fleet and etcd on one node, reached from this machine through SSH.

The node's sockets appear in a temporary folder, where the product's own clients use them.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from clients.etcd import Etcd
from clients.fleet import SOCKET, Fleet
from contract.ports import ETCD_CLIENT
from lab.machine.waiting import comes_true
from lab.scratch_stack import ScratchStack
from tools.progress import StepFailed

PATIENCE = 20.0


@dataclass(frozen=True, kw_only=True)
class Apis:
    fleet: Fleet
    etcd: Etcd


@contextmanager
def to_node(stack: ScratchStack, node: str) -> Iterator[Apis]:
    """The APIs of one node for the length of a block."""
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as folder:
        fleet, etcd = Path(folder) / "fleet.sock", Path(folder) / "etcd.sock"
        ssh, *arguments = stack.login(node)
        forwards = ["-N", "-o", "ExitOnForwardFailure=yes"]
        forwards += ["-L", f"{fleet}:{SOCKET}", "-L", f"{etcd}:127.0.0.1:{ETCD_CLIENT}"]
        connection = subprocess.Popen([ssh, *forwards, *arguments], start_new_session=True)
        try:
            _wait_for(connection, etcd)
            client = Etcd(transport=httpx.HTTPTransport(uds=str(etcd)))
            yield Apis(
                fleet=Fleet(client, transport=httpx.HTTPTransport(uds=str(fleet))), etcd=client
            )
        finally:
            connection.terminate()
            connection.wait()


def _wait_for(connection: subprocess.Popen[bytes], socket: Path) -> None:
    comes_true(lambda: connection.poll() is not None or socket.exists(), patience=PATIENCE)
    if not socket.exists():
        raise StepFailed(
            "Reaching the APIs of a node",
            why="ssh does not forward them",
            advice="Try .venv/bin/python -m lab ssh",
        )
