"""A real Azurite of the lab's pinned version."""

import os
import re
import socket
import subprocess
import tarfile
from collections.abc import Iterator

import pytest

from lab.azure.storage.azurite import Azurite
from lab.machine.paths import PROJECT
from tests.eventually import eventually
from tests.ports import free_port
from tests.unit.lab.azure.stored_resources import KEY
from tools.images.packages import NodePackages

AZURITE_ACCOUNT = "backing"


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an Azurite of the lab's pinned version."""
    folder = tmp_path_factory.mktemp("azurite")
    with tarfile.open(NodePackages(folder=PROJECT / "lab/images/azurite").ensure()) as packages:
        packages.extractall(folder, filter="fully_trusted")
    port = free_port()
    process = subprocess.Popen(
        [
            *("node", folder / "node_modules/azurite/dist/src/blob/main.js"),
            *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
            *("--location", folder / "data", "--skipApiVersionCheck", "--disableTelemetry"),
            "--silent",
        ],
        env={**os.environ, "AZURITE_ACCOUNTS": f"{AZURITE_ACCOUNT}:{KEY}"},
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


async def delete_containers(azurite: Azurite, account: str) -> None:
    """Deletes all containers of one of the lab's accounts."""
    async with azurite.send("GET", "/", f"comp=list&prefix={account}-") as answer:
        names = re.findall(f"<Name>{account}-([^<]*)</Name>", await answer.text())
    for name in names:
        await azurite.delete_container(account, name)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    def answers() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    eventually(lambda: process.poll() is not None or answers(), "Azurite answers")
    assert process.poll() is None, "Azurite ended before it answered"
