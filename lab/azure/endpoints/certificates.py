"""The lab's certificate authority, and the certificate of its storage and vault names.

Both are created once and kept. VMs and the provider trust the authority's certificate; the private
keys never leave the lab's state. The library trustme does not fit: it marks subjectAltName as
critical, which strict clients refuse.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.azure.arm.store import write_private
from lab.azure.keyvault.resource_types import VAULT_SUFFIX
from lab.azure.storage.resource_types import STORAGE_SUFFIX

NAMES = (f"*{STORAGE_SUFFIX}", f"*{VAULT_SUFFIX}")

_AUTHORITY_LIFETIME = timedelta(days=3650)
_SERVER_LIFETIME = timedelta(days=397)
_RENEW_BEFORE = timedelta(days=30)
# A laptop's clock may be set back after the lab was created.
_BACKDATED = timedelta(days=1)

_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, kw_only=True)
class Authority:
    """Paths of the PEM files under the lab's state; clients trust ``certificate``."""

    certificate: Path
    server_certificate: Path
    server_key: Path

    def server_context(self) -> ssl.SSLContext:
        """TLS 1.2 and later, as storage accounts with ``minimumTlsVersion`` TLS1_2 require."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.server_certificate, self.server_key)
        return context


def authority(directory: Path) -> Authority:
    """Loads the files in ``directory``, creates missing ones, renews one that expires soon."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = Authority(
        certificate=directory / "ca.pem",
        server_certificate=directory / "server.pem",
        server_key=directory / "server.key",
    )
    key_path = directory / "ca.key"
    if not (key_path.exists() and paths.certificate.exists()):
        _make_authority(key_path, paths.certificate)
        paths.server_certificate.unlink(missing_ok=True)
    if not _is_current(paths.server_certificate):
        _make_server(_load_key(key_path), _load(paths.certificate), paths)
    return paths


def _make_authority(key_path: Path, certificate: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet lab authority")])
    usage = _usage(signs_certificates=True)
    unsigned = (
        _builder(name, name, key, _AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    _write_key(key_path, key)
    _write_certificate(certificate, unsigned.sign(key, hashes.SHA256()))


def _make_server(signer: _Key, issuer: x509.Certificate, paths: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet lab")])
    names = x509.SubjectAlternativeName([x509.DNSName(each) for each in NAMES])
    server_only = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    own_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    unsigned = (
        _builder(name, issuer.subject, key, _SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(server_only, critical=False)
        .add_extension(names, critical=False)
        .add_extension(own_key, critical=False)
    )
    _write_key(paths.server_key, key)
    _write_certificate(paths.server_certificate, unsigned.sign(signer, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Key, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_current(path: Path) -> bool:
    return path.exists() and _load(path).not_valid_after_utc - _RENEW_BEFORE > _now()


def _now() -> datetime:
    return datetime.now(UTC)


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _load_key(path: Path) -> _Key:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, _Key), "the authority's key is an EC key"
    return key


def _write_key(path: Path, key: _Key) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(path, pem.decode())


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
