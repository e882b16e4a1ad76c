"""The types of values in the configuration, each with its rule.

A rule that comes from outside (Azure, docker, fleet, DNS) names its source. A refusal says what is
allowed; `settings.problems` adds the path and the value.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, SecretStr
from pydantic.alias_generators import to_camel

from settings.host_names import host

DOCKER_BRIDGE = ipaddress.IPv4Network("172.17.0.0/16")
"""docker's default bridge on every node. https://docs.docker.com/engine/network/drivers/bridge/"""
PRIVATE_NETWORKS = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)
"""No host on the Internet has such an address. https://www.rfc-editor.org/rfc/rfc1918"""

MOST_MEGABYTES = 65_536
MOST_SECRET_BYTES = 25_600
MOST_LINE_BYTES = 900
TAKEN_FOLDERS = ("/dev", "/proc", "/run/secrets", "/sys")
"""Folders of a container that docker or the unit mounts something into."""


class Section(BaseModel):
    """A group of keys: camelCase in the configuration, no unknown keys, no conversion of types."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    impossible: ClassVar[Mapping[str, str]] = {}
    """Keys that a user may expect but that are not supported, each with the reason."""


def _matches(pattern: str, allowed: str) -> AfterValidator:
    """A validator for a whole string. `allowed` is the message of a refusal."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(allowed)
        return value

    return AfterValidator(check)


def _network(value: object) -> ipaddress.IPv4Network:
    try:
        if not isinstance(value, str):
            raise ValueError(value)
        return ipaddress.IPv4Network(value)
    except ValueError:
        raise ValueError("must be an IPv4 range without host bits, like 203.0.113.0/24") from None


def is_private(network: ipaddress.IPv4Network) -> bool:
    return any(network.subnet_of(private) for private in PRIVATE_NETWORKS)


def _private_network(value: object) -> ipaddress.IPv4Network:
    network = _network(value)
    if not is_private(network) or not 16 <= network.prefixlen <= 24:
        raise ValueError(
            "must be a private IPv4 range from /16 to /24, like 10.20.0.0/16, inside one of "
            f"{', '.join(map(str, PRIVATE_NETWORKS))}"
        )
    if network.overlaps(DOCKER_BRIDGE):
        raise ValueError(f"must not overlap {DOCKER_BRIDGE}, which docker uses on every node")
    return network


def _admin_network(value: object) -> ipaddress.IPv4Network:
    network = _network(value)
    if network.prefixlen < 8:
        raise ValueError("must be /8 or smaller: SSH is never open to the whole Internet")
    if network.prefixlen == 31:
        # https://learn.microsoft.com/azure/storage/common/storage-network-security
        raise ValueError("must not be a /31, which Azure storage refuses: list two addresses")
    return network


def _image(value: str) -> str:
    """An image in the stack's registry. Grammar: github.com/distribution/reference."""
    component = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    match = re.fullmatch(rf"({component}(?:/{component})*)(?::([\w][\w.-]{{0,127}}))?", value)
    first = value.split("/")[0]
    if "/" in value and ("." in first or ":" in first or first == "localhost"):
        raise ValueError(
            "must not name a registry: images come from the stack's registry. Push it there, and "
            "write only repository:tag"
        )
    if match is None:
        hint = (
            ", without a digest: the rollout asks the registry for the tag's digest"
            if "@" in value
            else ""
        )
        raise ValueError(f"must be repository:tag in lower case, like toktv/api:1.4.2{hint}")
    if match[2] is None:
        raise ValueError("must have a tag, like toktv/api:1.4.2")
    if match[2] == "latest":
        raise ValueError("must name a version: Pulumi would never notice a new `latest`")
    return value


def megabytes(size: str) -> int:
    """A size in docker's units, like 512m or 1g, in megabytes; 0 if it is not one."""
    match = re.fullmatch(r"([1-9][0-9]{0,6})([mg])", size)
    return int(match[1]) * {"m": 1, "g": 1024}[match[2]] if match else 0


def _memory(value: str) -> str:
    """A memory limit in docker's units. docker refuses less than 6m; a program needs some more."""
    if not 16 <= megabytes(value) <= MOST_MEGABYTES:
        raise ValueError("must be a whole number followed by m or g, from 16m to 64g")
    return value


def _tmpfs(value: str) -> str:
    """A folder in the container and the size of its file system, like /tmp:64m."""
    path, _, size = value.partition(":")
    if not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", path) or not 1 <= megabytes(size) <= MOST_MEGABYTES:
        raise ValueError("must be an absolute path and a size in m or g, like /tmp:64m")
    if {".", ".."} & set(path.split("/")):
        raise ValueError("must not have . or .. in its path")
    if path == "/dev/shm":
        raise ValueError(
            "must not be in /dev. /dev/shm has docker's 64 MB, and no other size is possible: make "
            "the program use another folder (Chromium: --disable-dev-shm-usage)"
        )
    if any(f"{path}/".startswith(f"{taken}/") for taken in TAKEN_FOLDERS):
        raise ValueError(
            f"must not be in {', '.join(TAKEN_FOLDERS)}: other files are mounted there"
        )
    return value


def fits_a_unit(text: str) -> bool:
    """Whether systemd accepts a line with this text. It ignores a line with a noncharacter, such as
    U+FFFE: https://www.unicode.org/versions/latest/core-spec/chapter-23/#G19635"""
    return not any(
        unicodedata.category(character) in ("Cc", "Zl", "Zp")
        or ord(character) & 0xFFFE == 0xFFFE
        or 0xFDD0 <= ord(character) <= 0xFDEF
        for character in text
    )


def _one_line(instead: str) -> AfterValidator:
    """A line of a unit is at most 2,048 bytes (fleet), and escaping can double a value."""

    def check(value: str) -> str:
        if not fits_a_unit(value):
            raise ValueError(
                "must be one line without control characters: units can't contain them"
                + (", not even a newline at the end" if value[:-1].isprintable() else "")
                + f". {instead}"
            )
        if (size := len(value.encode())) > MOST_LINE_BYTES:
            raise ValueError(f"must be at most {MOST_LINE_BYTES} bytes, not {size}. {instead}")
        return value

    return AfterValidator(check)


def _ssh_private_key(value: SecretStr) -> SecretStr:
    """A key that Azure and the SSH client accept. No message ever quotes the key."""
    allowed = "must be an OpenSSH private key without passphrase: ed25519, or RSA of 2,048+ bits"
    try:
        key = serialization.load_ssh_private_key(value.get_secret_value().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(allowed) from None
    strong_rsa = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048
    if not strong_rsa and not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ValueError(allowed)
    return value


def _secret_value(value: SecretStr) -> SecretStr:
    """https://learn.microsoft.com/azure/key-vault/secrets/about-secrets: 25 KB at most."""
    if not 1 <= len(value.get_secret_value().encode()) <= MOST_SECRET_BYTES:
        raise ValueError("must have 1 to 25,600 bytes: a vault accepts no more")
    if "\ufffd" in value.get_secret_value():
        raise ValueError(
            "must be text: bytes that are not UTF-8 were lost when it was set. Set the output of "
            "base64 instead, and decode it in the container"
        )
    return value


Name = Annotated[
    str,
    _matches(
        r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?",
        "must be 1 to 30 lower-case letters, digits and hyphens, starting with a letter",
    ),
]
"""The name of a service or customer. It becomes part of unit, container and etcd key names."""
Image = Annotated[str, AfterValidator(_image)]
Memory = Annotated[str, AfterValidator(_memory)]
Host = Annotated[str, AfterValidator(host)]
HealthPath = Annotated[
    str,
    Field(max_length=200),
    _matches(r"/[A-Za-z0-9._~/?=&-]*", "must be a path, like /health"),
]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
PublicPort = Annotated[int, Field(ge=1, le=65534)]
"""Azure's load balancer has no front-end port 65535.
https://learn.microsoft.com/rest/api/load-balancer/load-balancers/create-or-update"""
EnvName = Annotated[
    str,
    Field(max_length=64),
    _matches("[A-Za-z_][A-Za-z0-9_]*", "must be letters, digits and _, not starting with a digit"),
]
EnvValue = Annotated[str, _one_line("Put longer text into fleet:secrets, which become files")]
Command = Annotated[
    str, Field(min_length=1), _one_line("Put a longer command into a script in the image")
]
Tmpfs = Annotated[str, AfterValidator(_tmpfs)]
SecretName = Annotated[
    str, _matches("[a-z0-9-]{1,60}", "must be 1 to 60 lower-case letters, digits and hyphens")
]
"""It becomes part of a name in the vault, which may have letters, digits and hyphens only.
https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates"""
SecretValue = Annotated[SecretStr, AfterValidator(_secret_value)]
VaultSecretId = Annotated[
    str,
    _matches(
        r"https://[a-z][a-z0-9-]{1,22}[a-z0-9]\.vault\.azure\.net/secrets/[A-Za-z0-9-]{1,127}",
        "must be a secret's identifier without a version, like "
        "https://my-vault.vault.azure.net/secrets/my-certificate",
    ),
]
PrivateNetwork = Annotated[
    ipaddress.IPv4Network, PlainValidator(_private_network, json_schema_input_type=str)
]
AdminNetwork = Annotated[
    ipaddress.IPv4Network, PlainValidator(_admin_network, json_schema_input_type=str)
]
Guid = Annotated[
    str,
    _matches(
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "must be a GUID in lower case with hyphens"
    ),
]
SshPrivateKey = Annotated[SecretStr, AfterValidator(_ssh_private_key)]
Location = Annotated[str, _matches("[a-z]+[0-9]*", "must be an Azure region, like westeurope")]
FlatcarVersion = Annotated[
    str, _matches(r"\d+\.\d+\.\d+", "must be a pinned Flatcar version, like 4593.2.5")
]
DnsLabel = Annotated[
    str,
    # https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
    _matches(
        "[a-z][a-z0-9-]{1,61}[a-z0-9]",
        "must be 3 to 63 lower-case letters, digits and hyphens, starting with a letter",
    ),
]
