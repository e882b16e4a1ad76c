"""Certificates for tests: self-signed, as PEM with the private key."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


def make_certificate(
    *names: str,
    subject: str = "",
    days: float = 1,
    password: bytes = b"",
    rsa_bits: int = 0,
    begins: float = -10,
) -> tuple[str, str]:
    """A key and a certificate for these DNS names; `subject` tells certificates apart."""
    key = (
        rsa.generate_private_key(65537, rsa_bits)
        if rsa_bits
        else ec.generate_private_key(ec.SECP256R1())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or names[0])])
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = [x509.DNSName(one) for one in names]
    if "localhost" in names:
        alternatives.append(x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begins))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)
    return private.decode(), certificate.public_bytes(_PEM).decode()


def make_pem(
    *names: str, subject: str = "", days: float = 1, password: bytes = b"", begins: float = -10
) -> str:
    """The same as one text, as Key Vault gives it: the key first."""
    return "".join(
        make_certificate(*names, subject=subject, days=days, password=password, begins=begins)
    )


def write_certificate(folder: Path, name: str) -> None:
    """The stack's own certificate as node-secrets writes it."""
    key, certificate = make_certificate(name)
    (folder / "tls.key").write_text(key)
    (folder / "tls.crt").write_text(certificate)
