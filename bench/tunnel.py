"""fleet's and etcd's APIs of one node on this machine, through one SSH connection.

The node's sockets appear as sockets of a temporary folder, so the product's own clients can be used
as if they ran there.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from clients.etcd import Etcd
from clients.fleet import SOCKET, Fleet
from contract.ports import ETCD_CLIENT
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
    deadline = time.monotonic() + PATIENCE
    while not socket.exists():
        if connection.poll() is not None or time.monotonic() > deadline:
            raise StepFailed(
                "Reaching the APIs of a node",
                why="ssh does not forward them",
                advice="Try .venv/bin/python -m lab ssh",
            )
        time.sleep(0.05)
