"""A real etcd for the tests that need one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from clients.etcd.members import Membership
from tests.eventually import eventually
from tests.parts.real_etcd import NETWORK, etcd_binary


@pytest.fixture(scope="session")
def real_etcd_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real etcd of one member, for the session."""
    address = f"{NETWORK}.100"
    environment = {
        "ETCD_DATA_DIR": str(tmp_path_factory.mktemp("etcd")),
        "ETCD_LISTEN_CLIENT_URLS": f"http://{address}:2379",
        "ETCD_ADVERTISE_CLIENT_URLS": f"http://{address}:2379",
        "ETCD_LISTEN_PEER_URLS": f"http://{address}:2380",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"http://{address}:2380",
        "ETCD_INITIAL_CLUSTER": f"default=http://{address}:2380",
        "ETCD_ENABLE_V2": "true",
        "ETCD_LOG_LEVEL": "error",
        "ETCD_UNSAFE_NO_FSYNC": "true",
    }
    process = subprocess.Popen([etcd_binary()], env=environment, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: Membership().is_healthy(address), "etcd healthy")
        yield f"http://{address}:2379"
    finally:
        process.kill()
        process.wait()
