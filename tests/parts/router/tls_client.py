"""A client of the router's HTTPS port that looks at what the handshake brings."""

from __future__ import annotations

import socket
import ssl

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.parts.router.harness import Router


def connect(router: Router, host: str, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    """A TLS connection on which `host` was asked for. Nothing is verified."""
    plain = socket.create_connection(("127.0.0.1", router.https_port), timeout=10)
    return (context or lenient_context()).wrap_socket(plain, server_hostname=host)


def lenient_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def subject_of(connection: ssl.SSLSocket) -> str:
    """The common name in the certificate that the server showed."""
    raw = connection.getpeercert(binary_form=True)
    assert raw is not None
    subject = x509.load_der_x509_certificate(raw).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def certificate_for(router: Router, host: str) -> str:
    """The common name in the certificate that a client of `host` is shown."""
    with connect(router, host) as connection:
        return subject_of(connection)


def handshake(
    router: Router,
    *,
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    protocols: tuple[str, ...] = ("http/1.1",),
) -> tuple[str, str | None, str | None]:
    """The name in the certificate, the protocol version, and the application protocol."""
    context = lenient_context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = most
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(list(protocols))
    with connect(router, "api.test", context) as secure:
        return subject_of(secure), secure.version(), secure.selected_alpn_protocol()
