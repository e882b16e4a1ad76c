"""TLS certificates as users give them, and what one can tell of a PEM file before it is used.

A PEM file holds a private key: nothing of its text ever goes into a message.
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

from settings.fields import SecretName, Section, VaultSecretId, is_host

WARNING = datetime.timedelta(days=30)
"""A certificate with less than this left is warned about at every preview."""


class Certificate(Section):
    """A certificate with its private key, from one of two places."""

    secret: SecretName | None = Field(
        default=None,
        description="The name in `fleet:secrets` of a PEM text: the certificate, the rest of its "
        "chain up to one that clients know, and the private key without passphrase. One that has "
        "expired is warned about and served on.",
    )
    key_vault_secret_id: VaultSecretId | None = Field(
        default=None,
        description="The identifier of a PEM secret in a vault of yours, as every Key Vault "
        "certificate has one. Give the nodes' identity (output `nodesIdentity`) the role *Key "
        "Vault Secrets User* on it. A renewed one is noticed within ten minutes. What is in it "
        "can't be checked at preview.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.secret is None) == (self.key_vault_secret_id is None):
            raise ValueError("must say either secret or keyVaultSecretId")
        return self


@dataclass(kw_only=True, frozen=True)
class Contents:
    """What a PEM file is good for."""

    hosts: tuple[str, ...]
    """Its DNS names that routers can serve, with wildcards for one label."""
    not_before: datetime.datetime
    not_after: datetime.datetime
    """When the first one ends of those that clients need."""
    unknown_issuer: str | None
    """Who signed it, if the file does not hold that one's certificate and may have to."""
    issuer_at: str
    """Where it says that the issuer's certificate can be had, or nothing."""
    cross_signed: tuple[str, datetime.datetime] | None
    """A root that clients may know by another certificate than this last one, and its end."""

    def covers(self, host: str) -> bool:
        """Whether clients accept it for a host."""
        return any(matches(name, host) for name in self.hosts)


def matches(name: str, host: str) -> bool:
    """Whether a certificate's name is good for a host. A wildcard stands for one label."""
    if name.startswith("*."):
        first, dot, rest = host.partition(".")
        return bool(first and dot) and rest == name.removeprefix("*.")
    return name == host


def read(pem: str) -> Contents:
    """What the file holds. ValueError says why routers and clients would not take it."""
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(
            "must hold a certificate, the rest of its chain, and the private key without "
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
        issuer_at=_where_issuer_lies(leaf) if alone else "",
        cross_signed=(spare.subject.rfc4514_string(), spare.not_valid_after_utc) if spare else None,
    )


def _needed(
    chain: list[x509.Certificate],
) -> tuple[list[x509.Certificate], x509.Certificate | None]:
    """Those that clients need, who know the root, and one above that only some of them do.

    The last one may be that of a root that clients know, signed by an older root that ends before
    it: https://letsencrypt.org/certificates. The leaf and its issuer are never that.
    """
    own = [one for one in chain if one is chain[0] or one.issuer != one.subject]
    *lower, last = own
    root = chain[-1] if chain[-1] is not last else None
    if len(lower) >= 2 and (not root or root.not_valid_after_utc <= last.not_valid_after_utc):
        return lower, last
    return own, None


def _check_chain(chain: list[x509.Certificate], key: bytes) -> None:
    """Whether clients that know only the root can get from the first certificate to it."""
    keys = [_public(one.public_key()) for one in chain]
    if keys[0] != key:
        place = f", but of number {keys.index(key) + 1}: it must stand first" if key in keys else ""
        raise ValueError(f"has a private key that is not that of its first certificate{place}")
    for number, (lower, upper) in enumerate(itertools.pairwise(chain), start=1):
        if lower.issuer != upper.subject:
            raise ValueError(
                "must hold the chain in order, each certificate before its issuer's: number "
                f"{number} is issued by {lower.issuer.rfc4514_string()}, and number {number + 1} "
                f"is that of {upper.subject.rfc4514_string()}"
            )
        try:
            lower.verify_directly_issued_by(upper)
        except (InvalidSignature, ValueError, TypeError):
            raise ValueError(
                f"has a certificate, number {number}, that the next one did not sign, though it "
                "has the issuer's name: an old or another version of it"
            ) from None


def _where_issuer_lies(leaf: x509.Certificate) -> str:
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
        raise ValueError("must have an RSA key from 2,048 bits, or one on P-256 or P-384")


def _hosts(leaf: x509.Certificate) -> tuple[str, ...]:
    """Clients look at these names only, never at the subject. Names for something else than web
    hosts (with _, or a * inside a label) are passed over."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names = set()
    else:
        names = {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}
    hosts = {name for name in names if is_host(name.removeprefix("*."))}
    if not hosts:
        others = f"; {', '.join(sorted(names))} can't be routed" if names else ""
        raise ValueError(f"must name hosts: subject alternative names of the type DNS{others}")
    return tuple(sorted(hosts))


def _public(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
