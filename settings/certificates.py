"""TLS certificates as users give them, and what one can tell of a PEM file before it is used.

A PEM file holds a private key: nothing of its text ever goes into a message.
"""

import datetime
import itertools
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
    PublicKeyTypes,
)
from pydantic import Field, model_validator

from settings.fields import SecretName, Section, VaultSecretId

WARNING = datetime.timedelta(days=30)
"""A certificate with less than this left is warned about at every preview."""


class Certificate(Section):
    """A certificate with its private key, from one of two places."""

    secret: SecretName | None = Field(
        default=None,
        description="The name in `fleet:secrets` of a PEM text: the certificate, the rest of its "
        "chain, and the private key without passphrase.",
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
    """Its DNS names, with wildcards for one label."""
    not_before: datetime.datetime
    not_after: datetime.datetime

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
    leaf = chain[0]
    if _public(leaf.public_key()) != _public(key.public_key()):
        raise ValueError("has a private key that is not that of its first certificate")
    for lower, upper in itertools.pairwise(chain):
        if lower.issuer != upper.subject:
            raise ValueError("must hold the chain in order: each certificate before its issuer's")
    return Contents(
        hosts=_dns_names(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def _check_key(key: PrivateKeyTypes) -> None:
    strong_rsa = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048
    known_curve = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in (
        "secp256r1",
        "secp384r1",
    )
    if not strong_rsa and not known_curve:
        raise ValueError("must have an RSA key from 2,048 bits, or one on P-256 or P-384")


def _dns_names(leaf: x509.Certificate) -> tuple[str, ...]:
    """Clients look at these names only, never at the subject."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names = []
    else:
        names = extension.value.get_values_for_type(x509.DNSName)
    if not names:
        raise ValueError("must name hosts: subject alternative names of the type DNS")
    return tuple(sorted({name.lower() for name in names}))


def _public(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
