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
    alone: bool = False,
    issuer_at: str = "",
) -> str:
    """A certificate for hosts, its authority's, and the private key, as one PEM text.

    `alone`: without its authority's. `issuer_at`: where it says that one can be had.
    """
    authority, own = new_key(), key or new_key()
    certificates = [
        _certificate("leaf", own, "authority", authority, hosts, starts, ends, issuer_at),
        _certificate("authority", authority, "authority", authority, (), starts, ends),
    ]
    if reverse:
        certificates.reverse()
    if alone:
        certificates.pop()
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
    issuer_at: str = "",
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
    if issuer_at:
        place = x509.AccessDescription(
            x509.oid.AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier(issuer_at),
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def three(*hosts: str, middle_ends: datetime.datetime = NOW + 90 * DAY, omit: int = -1) -> str:
    """A chain of three with an intermediate authority, and the key; `omit` leaves one out."""
    root, middle, own = new_key(), new_key(), new_key()
    starts, ends = NOW - DAY, NOW + 90 * DAY
    certificates = [
        _certificate("leaf", own, "middle", middle, hosts, starts, ends),
        _certificate("middle", middle, "root", root, (), starts, middle_ends),
        _certificate("root", root, "root", root, (), starts, ends),
    ]
    return "".join(
        _text(one) for number, one in enumerate(certificates) if number != omit
    ) + key_text(own)


def cross_signed(host: str, *, root_ends: datetime.datetime, old_root: bool) -> str:
    """A chain whose third certificate is that of a root, signed by an older root and expired."""
    old, root, middle, own = new_key(), new_key(), new_key(), new_key()
    starts, ends = NOW - 9 * DAY, NOW + 90 * DAY
    certificates = [
        _certificate("leaf", own, "middle", middle, (host,), starts, ends),
        _certificate("middle", middle, "root", root, (), starts, ends),
        _certificate("root", root, "old", old, (), starts, NOW - DAY),
        _certificate("old", old, "old", old, (), starts, root_ends),
    ]
    return "".join(map(_text, certificates if old_root else certificates[:-1])) + key_text(own)
