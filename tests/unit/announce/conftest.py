from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.router.harness import EtcdServer, empty, running_etcd


@pytest.fixture(scope="session")
def etcd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with running_etcd(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture
def etcd(etcd_server: EtcdServer) -> EtcdServer:
    """An etcd that holds only what every cluster has."""
    empty(etcd_server)
    return etcd_server
