"""Keys that the stack generates once and keeps in its state as secrets.

They come from dynamic providers, which need no plugin. The state names the providers' module and
classes: moving or renaming them breaks `pulumi destroy` of existing stacks.
"""

import datetime
import ipaddress
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider
from pydantic import SecretStr

VALIDITY = datetime.timedelta(days=825)
RENEWAL = datetime.timedelta(days=90)
"""`pulumi up` replaces a certificate that expires within this time."""


@dataclass(kw_only=True, frozen=True)
class KeyPair:
    """An SSH key, given or generated."""

    private_key: pulumi.Output[str]
    public_key: pulumi.Output[str]


def admin_key(name: str, given: SecretStr | None, *, comment: str) -> KeyPair:
    """The administrator's key: the given one, or a generated one."""
    if given is None:
        made = SshKeyPair(name, comment=comment)
        return KeyPair(private_key=made.private_key, public_key=made.public_key)
    text = given.get_secret_value()
    return KeyPair(
        private_key=pulumi.Output.secret(text),
        public_key=pulumi.Output.from_input(f"{public_half(text)} {comment}"),
    )


class SshKeyPair(Resource, module="fleet", name="SshKeyPair"):
    """An ed25519 key pair in OpenSSH's formats."""

    private_key: pulumi.Output[str]
    public_key: pulumi.Output[str]

    def __init__(
        self, name: str, *, comment: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs = {"private_key": None, "public_key": None}
        super().__init__(
            SshKeyPairProvider(), name, {"comment": comment, **outputs}, _secret_key(opts)
        )


class SelfSignedCertificate(Resource, module="fleet", name="SelfSignedCertificate"):
    """A P-256 key with a certificate for host names and addresses, both in PEM."""

    private_key: pulumi.Output[str]
    certificate: pulumi.Output[str]
    not_after: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        hosts: Sequence[pulumi.Input[str]],
        addresses: Sequence[pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        outputs = {"private_key": None, "certificate": None, "not_after": None}
        super().__init__(
            SelfSignedCertificateProvider(),
            name,
            {"hosts": list(hosts), "addresses": list(addresses), **outputs},
            _secret_key(opts),
        )


class SshKeyPairProvider(ResourceProvider):
    """Makes a key pair; a key pair never changes."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        private_key, public_key = new_ssh_key(props["comment"])
        return CreateResult(
            uuid.uuid4().hex, {**props, "private_key": private_key, "public_key": public_key}
        )

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=False)


class SelfSignedCertificateProvider(ResourceProvider):
    """Makes a key with its certificate; replaced for other names, or near the end of its life."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        now = datetime.datetime.now(datetime.UTC)
        private_key, certificate = new_certificate(props["hosts"], props["addresses"], now)
        return CreateResult(
            uuid.uuid4().hex,
            {
                **props,
                "private_key": private_key,
                "certificate": certificate,
                "not_after": (now + VALIDITY).isoformat(),
            },
        )

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        replaces = [key for key in ("hosts", "addresses") if olds[key] != news[key]]
        not_after = datetime.datetime.fromisoformat(olds["not_after"])
        if not_after - datetime.datetime.now(datetime.UTC) < RENEWAL:
            replaces.append("not_after")
        return DiffResult(changes=bool(replaces), replaces=replaces)


def new_ssh_key(comment: str) -> tuple[str, str]:
    """A new ed25519 key: the private half in OpenSSH's format, the public half as one line."""
    key = ed25519.Ed25519PrivateKey.generate()
    private_key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()
    return private_key, f"{public_half(private_key)} {comment}"


def public_half(private_key: str) -> str:
    """The public line of an OpenSSH private key, without a comment."""
    key = serialization.load_ssh_private_key(private_key.encode(), None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )


def new_certificate(
    hosts: Sequence[str], addresses: Sequence[str], now: datetime.datetime
) -> tuple[str, str]:
    """A new P-256 key (PKCS #8) and a certificate signed with it, valid from `now`, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fleet")])
    names = [
        *(x509.DNSName(host) for host in hosts),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # clocks may differ a little
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # clients that trust this certificate and its successor distinguish them by these ids
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private_key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private_key.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _secret_key(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    own = pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
    return pulumi.ResourceOptions.merge(opts, own)
