from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.router.backends import Backend, serving
from tests.parts.router.harness import EtcdServer, Router, empty, running, running_etcd


@contextmanager
def readable_folder() -> Iterator[Path]:
    """A folder that nginx's unprivileged workers can read, which pytest's tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="fleet-router-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def folder() -> Iterator[Path]:
    with readable_folder() as path:
        yield path


@pytest.fixture(scope="session")
def etcd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with running_etcd(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture
def etcd(etcd_server: EtcdServer) -> EtcdServer:
    """An etcd that holds only what every cluster has."""
    empty(etcd_server)
    return etcd_server


@pytest.fixture(scope="session")
def shared_router(etcd_server: EtcdServer) -> Iterator[Router]:
    empty(etcd_server)
    with readable_folder() as folder, running(Router(etcd=etcd_server, folder=folder)) as router:
        yield router


@pytest.fixture
def router(shared_router: Router, etcd: EtcdServer) -> Router:
    """A healthy router that knows no service yet. Tests that harm it take `own_router`."""
    barrier = etcd.client.set("/services/none/barrier", "wakes the router")
    shared_router.wait_until_applied(barrier.index)
    return shared_router


@pytest.fixture
def own_router(etcd: EtcdServer, folder: Path) -> Iterator[Router]:
    with running(Router(etcd=etcd, folder=folder)) as router:
        yield router


@pytest.fixture
def backends() -> Iterator[tuple[Backend, Backend]]:
    """Two instances, `one` and `two`."""
    one, two = Backend("one"), Backend("two")
    with serving(one, two):
        yield one, two
