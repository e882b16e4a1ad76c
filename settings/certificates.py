"""TLS certificates as users give them, and checks of a PEM file before it is used.

A PEM file holds a private key, so no message ever quotes its text.
"""

import datetime
import itertools
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
    PublicKeyTypes,
)
from pydantic import Field, model_validator

from settings.fields import SecretName, Section, VaultSecretId
from settings.host_names import is_host

WARNING = datetime.timedelta(days=30)
"""Preview warns of a certificate that expires within this time."""


class Certificate(Section):
    """A certificate with its private key, from one of two sources."""

    secret: SecretName | None = Field(
        default=None,
        description="The name of a PEM text in `fleet:secrets`. The text contains the certificate, "
        "the rest of its chain up to a certificate that clients know, and the private key without "
        "a passphrase. If the certificate has expired, preview warns, and routers still use it.",
    )
    key_vault_secret_id: VaultSecretId | None = Field(
        default=None,
        description="The identifier of a PEM secret in another vault, such as that of a Key Vault "
        "certificate. Give the nodes' identity (output `nodesIdentity`) the role *Key Vault "
        "Secrets User* on this secret. Routers notice a renewed certificate within ten minutes. "
        "Preview can't check the content.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.secret is None) == (self.key_vault_secret_id is None):
            raise ValueError("must set either secret or keyVaultSecretId")
        return self


@dataclass(kw_only=True, frozen=True)
class Contents:
    """The parts of a PEM file that decide for which hosts and how long it can be used."""

    hosts: tuple[str, ...]
    """The certificate's DNS names that routers can serve. A wildcard stands for one label."""
    not_before: datetime.datetime
    not_after: datetime.datetime
    """When the first of the certificates that clients need expires."""
    unknown_issuer: str | None
    """The issuer, if the file lacks the issuer's certificate and clients may need it."""
    issuer_at: str
    """The address of the issuer's certificate, if the certificate names one; otherwise empty."""
    cross_signed: tuple[str, datetime.datetime] | None
    """The name and end of the last certificate, if it is a root's and an older root signed it."""

    def covers(self, host: str) -> bool:
        """Whether clients accept the certificate for a host."""
        return any(matches(name, host) for name in self.hosts)


def matches(name: str, host: str) -> bool:
    """Whether a certificate's name covers a host. A wildcard stands for one label."""
    if name.startswith("*."):
        first, dot, rest = host.partition(".")
        return bool(first and dot) and rest == name.removeprefix("*.")
    return name == host


def read(pem: str) -> Contents:
    """The contents of a PEM file. ValueError says why routers or clients would refuse it."""
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(
            "must contain a certificate, the rest of its chain, and the private key without a "
            "passphrase, all in PEM"
        ) from None
    _check_key(key)
    _check_chain(chain, _public(key.public_key()))
    leaf = chain[0]
    needed, spare = _needed(chain)
    alone = len(chain) == 1 and leaf.issuer != leaf.subject
    return Contents(
        hosts=_hosts(leaf),
        not_before=max(one.not_valid_before_utc for one in needed),
        not_after=min(one.not_valid_after_utc for one in needed),
        unknown_issuer=leaf.issuer.rfc4514_string() if alone else None,
        issuer_at=_issuer_address(leaf) if alone else "",
        cross_signed=(spare.subject.rfc4514_string(), spare.not_valid_after_utc) if spare else None,
    )


def _needed(
    chain: list[x509.Certificate],
) -> tuple[list[x509.Certificate], x509.Certificate | None]:
    """The certificates that all clients need, and a last one that only some clients need.

    The last certificate may be that of a root that clients know, signed by an older root that
    expires first: https://letsencrypt.org/certificates. The leaf and its issuer are always needed.
    """
    own = [one for one in chain if one is chain[0] or one.issuer != one.subject]
    *lower, last = own
    root = chain[-1] if chain[-1] is not last else None
    if len(lower) >= 2 and (not root or root.not_valid_after_utc <= last.not_valid_after_utc):
        return lower, last
    return own, None


def _check_chain(chain: list[x509.Certificate], key: bytes) -> None:
    """Whether clients that know only the root can follow the chain from the leaf to the root."""
    keys = [_public(one.public_key()) for one in chain]
    if keys[0] != key:
        place = (
            f", but to number {keys.index(key) + 1}, which must come first" if key in keys else ""
        )
        raise ValueError(f"has a private key that does not belong to its first certificate{place}")
    for number, (lower, upper) in enumerate(itertools.pairwise(chain), start=1):
        if lower.issuer != upper.subject:
            raise ValueError(
                "must contain the chain in order, each certificate before its issuer's: number "
                f"{number} was issued by {lower.issuer.rfc4514_string()}, but number {number + 1} "
                f"is that of {upper.subject.rfc4514_string()}"
            )
        try:
            lower.verify_directly_issued_by(upper)
        except (InvalidSignature, ValueError, TypeError):
            raise ValueError(
                f"has a certificate, number {number}, that was not signed by the next one, "
                "although that has the issuer's name: it may be an old version of the issuer's"
            ) from None


def _issuer_address(leaf: x509.Certificate) -> str:
    try:
        found = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ""
    kind = x509.oid.AuthorityInformationAccessOID.CA_ISSUERS
    return next((str(one.access_location.value) for one in found if one.access_method == kind), "")


def _check_key(key: PrivateKeyTypes) -> None:
    strong_rsa = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048
    known_curve = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in (
        "secp256r1",
        "secp384r1",
    )
    if not strong_rsa and not known_curve:
        raise ValueError("must have an RSA key of at least 2,048 bits, or a P-256 or P-384 key")


def _hosts(leaf: x509.Certificate) -> tuple[str, ...]:
    """The alternative names; clients ignore the subject. Names that are no web hosts (with _, or
    with * inside a label) are left out."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names = set()
    else:
        names = {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}
    hosts = {name for name in names if is_host(name.removeprefix("*."))}
    if not hosts:
        others = f"; routers can't serve {', '.join(sorted(names))}" if names else ""
        raise ValueError(f"must name hosts, as subject alternative names of type DNS{others}")
    return tuple(sorted(hosts))


def _public(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
