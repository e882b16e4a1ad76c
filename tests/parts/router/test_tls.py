"""TLS ends at the router: the certificate on its disk, modern protocols, new certificates."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend
from tests.parts.router.certificates import write_certificate
from tests.parts.router.harness import EtcdServer, Router, publish, running
from tests.parts.router.tls_client import handshake

Backends = tuple[Backend, Backend]


@pytest.fixture
def secure_router(etcd: EtcdServer, folder: Path, backends: Backends) -> Router:
    """A router with a certificate for api.test, which it serves."""
    write_certificate(folder, "api.test")
    publish(
        etcd,
        "api",
        route={"hosts": ["api.test"], "http": True},
        instances={"r1-1": {"http": backends[0].address}},
    )
    return Router(etcd=etcd, folder=folder)


def test_https_is_answered_with_the_certificate_on_disk(secure_router: Router) -> None:
    with running(secure_router):
        assert handshake(secure_router)[:2] == ("api.test", "TLSv1.3")


def test_tls_1_2_is_the_oldest_that_is_spoken(secure_router: Router) -> None:
    with running(secure_router):
        assert handshake(secure_router, most=ssl.TLSVersion.TLSv1_2)[1] == "TLSv1.2"
        with pytest.warns(match="deprecated"), pytest.raises(ssl.SSLError):
            handshake(secure_router, most=ssl.TLSVersion.TLSv1_1)


def test_http_2_is_supported(secure_router: Router) -> None:
    with running(secure_router):
        assert handshake(secure_router, protocols=("h2", "http/1.1"))[2] == "h2"

        answer = subprocess.run(
            [
                "curl", "--silent", "--http2", "--insecure", "--write-out", "\n%{http_version}",
                "--connect-to", f"api.test:443:127.0.0.1:{secure_router.https_port}",
                "https://api.test/",
            ],
            capture_output=True, text=True, check=True, timeout=20,
        ).stdout.splitlines()  # fmt: skip

        assert answer[1] == "2"
        told = json.loads(answer[0])["headers"]
        assert told["Host"] == "api.test"
        assert told["X-Forwarded-Proto"] == "https"


def test_new_certificate_is_taken_up(secure_router: Router) -> None:
    with running(secure_router):
        assert handshake(secure_router)[0] == "api.test"

        write_certificate(secure_router.folder, "renewed.test")

        def renewed() -> bool:
            return handshake(secure_router)[0] == "renewed.test"

        eventually(renewed, what="the new certificate is served")


def test_router_without_a_certificate_still_serves_http(
    etcd: EtcdServer, own_router: Router, backends: Backends
) -> None:
    index = publish(
        etcd,
        "api",
        route={"hosts": ["api.test"], "http": True},
        instances={"r1-1": {"http": backends[0].address}},
    )

    own_router.wait_until_applied(index)

    assert own_router.get("api.test").status_code == 200
