"""Certificates for tests: made on the spot, by an authority of their own."""

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PrivateKey = ec.EllipticCurvePrivateKey
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def chain(
    *hosts: str,
    starts: datetime.datetime = NOW - DAY,
    ends: datetime.datetime = NOW + 90 * DAY,
    key: PrivateKey | None = None,
    shown_key: PrivateKey | None = None,
    reverse: bool = False,
) -> str:
    """A certificate for hosts, its authority's, and the private key, as one PEM text."""
    authority, own = new_key(), key or new_key()
    certificates = [
        _certificate("leaf", own, "authority", authority, hosts, starts, ends),
        _certificate("authority", authority, "authority", authority, (), starts, ends),
    ]
    if reverse:
        certificates.reverse()
    return "".join(map(_text, certificates)) + key_text(shown_key or own)


def key_text(key: PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def new_key() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _certificate(
    subject: str,
    key: PrivateKey,
    issuer: str,
    issuer_key: PrivateKey,
    hosts: Sequence[str],
    starts: datetime.datetime,
    ends: datetime.datetime,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
