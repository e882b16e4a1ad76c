"""Real etcd members, each on a loopback address of its own with the ports that nodes use."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

from clients.clock import SystemClock
from clients.etcd import Etcd
from clients.etcd.members import Membership, client_url
from cluster.bootstrap.decide import ThisNode
from cluster.bootstrap.run import Bootstrap, Start, environment_file
from tests.ports import WORKER
from tests.unit.cluster.simulated_blob import SimulatedBlob
from tools.build import ensure_program

NETWORK = f"127.83.{61 + WORKER}"
"""An address block that nothing else on a machine uses."""


def etcd_binary() -> Path:
    installed = shutil.which("etcd", path=os.environ.get("FLEET_TOOLS_BIN"))
    return Path(installed) if installed else ensure_program("etcd") / "etcd"


class Stopped(Exception):
    """The node went away while it was booting."""


class NodeClock(SystemClock):
    """The node's clock; it stops with the node."""

    def __init__(self) -> None:
        self.is_stopped = False

    def sleep(self, seconds: float) -> None:
        if self.is_stopped:
            raise Stopped
        super().sleep(seconds)


class Node:
    """A node of the cluster: bootstraps if it has no data, runs etcd, can lose both."""

    def __init__(self, number: int, directory: Path, blob: SimulatedBlob, *, size: int = 3) -> None:
        self.me = ThisNode(name=f"core-{number}", address=f"{NETWORK}.{number + 1}", size=size)
        self.data = directory / self.me.name
        self.lines: list[str] = []
        self.start_as: Start | None = None
        self._blob = blob
        self._process: subprocess.Popen[bytes] | None = None
        self._clock = NodeClock()
        self._thread: threading.Thread | None = None

    @property
    def is_healthy(self) -> bool:
        return Membership().is_healthy(self.me.address)

    def boot(self) -> None:
        """What the node does at boot, in the background."""
        self._clock = NodeClock()
        self._thread = threading.Thread(target=self._boot, daemon=True)
        self._thread.start()

    def _boot(self) -> None:
        environment = {}
        if not (self.data / "member").is_dir():
            try:
                self.start_as = self.bootstrap()
            except Stopped:
                return
            text = environment_file(self.start_as)
            environment = dict(line.split("=", 1) for line in text.splitlines())
        url, peer_url = client_url(self.me.address), f"http://{self.me.address}:2380"
        environment |= {
            "ETCD_NAME": self.me.name,
            "ETCD_DATA_DIR": str(self.data),
            "ETCD_LISTEN_CLIENT_URLS": url,  # 127.0.0.1 belongs to the test's machine
            "ETCD_ADVERTISE_CLIENT_URLS": url,
            "ETCD_LISTEN_PEER_URLS": peer_url,
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": peer_url,
            "ETCD_ENABLE_V2": "true",
            "ETCD_LOG_LEVEL": "error",
            "ETCD_UNSAFE_NO_FSYNC": "true",
        }
        with (self.data.parent / f"{self.me.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [etcd_binary()], env=environment, stdout=log, stderr=log
            )

    def bootstrap(self) -> Start:
        return Bootstrap(
            self.me,
            "fleet-test",
            blob=self._blob.client(self._clock),
            membership=Membership(),
            etcd=Etcd,
            clock=self._clock,
            progress=self.lines.append,
        ).run()

    def stop(self) -> None:
        self._clock.is_stopped = True
        if self._thread is not None:
            self._thread.join()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_data(self) -> None:
        self.stop()
        self.start_as = None
        shutil.rmtree(self.data, ignore_errors=True)
