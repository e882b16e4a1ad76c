from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.router.backends import Backend, serving
from tests.parts.router.harness import EtcdServer, empty, running_etcd
from tests.parts.sidekick.sidekick import Container, Sidekick


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
def container(tmp_path: Path) -> Iterator[Container]:
    container = Container(tmp_path)
    yield container
    container.process.kill()
    container.process.wait()


@pytest.fixture
def sidekick(etcd: EtcdServer, container: Container) -> Iterator[Sidekick]:
    sidekick = Sidekick(etcd, container)
    yield sidekick
    if sidekick.process is not None:
        sidekick.process.terminate()
        sidekick.process.wait(30)


@pytest.fixture
def app() -> Iterator[Backend]:
    app = Backend("app")
    with serving(app):
        yield app
