"""TLS ends at the router: the certificate on its disk, modern protocols, new certificates."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.router.backends import Backend
from tests.unit.router.harness import EtcdServer, Router, eventually, publish, running

Backends = tuple[Backend, Backend]


def write_certificate(folder: Path, name: str) -> None:
    """A self-signed certificate as node-secrets writes them: the key first."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "tls.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(pem))


def handshake(
    router: Router,
    *,
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    protocols: tuple[str, ...] = ("http/1.1",),
) -> tuple[str, str | None, str | None]:
    """The name in the certificate, the protocol version, and the application protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = most
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(list(protocols))
    with (
        socket.create_connection(("127.0.0.1", router.https_port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="api.test") as secure,
    ):
        raw = secure.getpeercert(binary_form=True)
        assert raw is not None
        (name,) = x509.load_der_x509_certificate(raw).subject.get_attributes_for_oid(
            NameOID.COMMON_NAME
        )
        return str(name.value), secure.version(), secure.selected_alpn_protocol()


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
