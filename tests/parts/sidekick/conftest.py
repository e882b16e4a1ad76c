from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.router.backends import Backend, serving
from tests.parts.router.harness import EtcdServer, empty, running_etcd
from tests.parts.sidekick.announcer import Announcer, Sidekick
from tests.parts.sidekick.fake_docker import FakeDocker


@pytest.fixture(scope="session")
def etcd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with running_etcd(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture
def etcd(etcd_server: EtcdServer) -> EtcdServer:
    """An etcd that holds only what every cluster has."""
    empty(etcd_server)
    return etcd_server


@pytest.fixture
def routers_timeout() -> float:
    """Seconds that a departure waits for routers at the most."""
    return 0.0


@pytest.fixture
def announcer(tmp_path: Path, etcd: EtcdServer, routers_timeout: float) -> Iterator[Announcer]:
    announcer = Announcer(tmp_path / "host", etcd, routers_timeout=routers_timeout)
    announcer.start()
    yield announcer
    announcer.close()


@pytest.fixture
def docker(announcer: Announcer) -> Iterator[FakeDocker]:
    docker = FakeDocker(announcer.host / "run/docker.sock")
    yield docker
    docker.close()


@pytest.fixture
def sidekick(etcd: EtcdServer, announcer: Announcer) -> Iterator[Sidekick]:
    sidekick = Sidekick(etcd, announcer)
    yield sidekick
    sidekick.close()


@pytest.fixture
def app() -> Iterator[Backend]:
    app = Backend("app")
    with serving(app):
        yield app
