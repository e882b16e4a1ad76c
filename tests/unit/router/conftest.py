from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.router.backends import Backend, serving
from tests.unit.router.harness import EtcdServer, Router, running


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that nginx's unprivileged workers can read, which pytest's tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="fleet-router-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    server = EtcdServer(tmp_path)
    server.start()
    server.client.make_directory("/services")
    server.client.make_directory("/routers")
    yield server
    server.stop()


@pytest.fixture
def router(etcd: EtcdServer, folder: Path) -> Iterator[Router]:
    """A healthy router that knows no service yet."""
    with running(Router(etcd=etcd, folder=folder)) as router:
        yield router


@pytest.fixture
def backends() -> Iterator[tuple[Backend, Backend]]:
    """Two instances, `one` and `two`."""
    one, two = Backend("one"), Backend("two")
    with serving(one, two):
        yield one, two
