"""Checks whether a PEM file (chain and private key) can serve TLS, for which hosts, until when.

It makes a handshake in memory. A file that passes is one that nginx can load and clients accept,
unless it has expired: the caller decides about that.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
# X509_V_FLAG_NO_CHECK_TIME; Python has no name for it
_AT_ANY_TIME = ssl.VerifyFlags(0x200000)


class BadCertificate(Exception):
    """The file can't serve TLS. The text says why."""


@dataclass(kw_only=True, frozen=True)
class Leaf:
    """The fields of the first certificate in the file."""

    hosts: tuple[str, ...]  # its DNS names
    expires: float  # in seconds since 1970


def examine(path: Path) -> Leaf:
    """The first certificate in the file. Raises BadCertificate."""
    text = path.read_text(encoding="ascii", errors="replace")
    start = text.find(_BEGIN)
    end = text.find(_END, start)
    if start < 0 or end < 0:
        raise BadCertificate(
            "it is no PEM certificate (in Key Vault, choose the content type PEM, not PKCS #12)"
        )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # trust the certificate itself: clients check who signed it
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _AT_ANY_TIME
    try:
        server.load_cert_chain(path, password=_no_password)
        client.load_verify_locations(cadata=text[start : end + len(_END)] + "\n")
        leaf = _handshake(server, client)
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificate(_words(error)) from error
    if not leaf.hosts:
        raise BadCertificate("it names no host (subject alternative name)")
    return leaf


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> Leaf:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(to_server, to_client, server_side=True)
    here = client.wrap_bio(to_client, to_server)
    is_done = False
    while not is_done:
        is_done = True
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                is_done = False
    presented: Mapping[str, Any] = here.getpeercert() or {}
    if ssl.cert_time_to_seconds(presented["notBefore"]) > time.time():
        raise BadCertificate("certificate is not yet valid")
    names = presented.get("subjectAltName", ())
    return Leaf(
        hosts=tuple(value.lower() for kind, value in names if kind == "DNS"),
        expires=ssl.cert_time_to_seconds(presented["notAfter"]),
    )


def _no_password() -> str:
    # otherwise OpenSSL asks on the terminal
    raise ValueError("its private key is protected by a password")


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        if not error.reason:  # OpenSSL's "PEM lib"
            return "its certificate or its private key can't be read, or is missing"
        return str(error.reason).replace("_", " ").lower()
    return str(error)
