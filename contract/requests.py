"""What the program that runs `pulumi up` asks for, as JSON on standard input: typed and checked.

All problems are reported at once, each with its place in the JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from clients.errors import ClusterError
from contract.certificate_source import NAME as CERTIFICATE_NAME
from contract.certificate_source import parse_source
from contract.fields import Fields
from contract.route import Malformed

# Leaves room in a unit's name (256) for the release and the instance.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_IMAGE = re.compile(
    r"(?P<repository>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))"
)


@dataclass(kw_only=True, frozen=True)
class ImageName:
    """An image in the private registry, by tag or by digest."""

    repository: str
    tag: str | None
    digest: str | None

    @property
    def reference(self) -> str:
        """The part after the repository, as the registry's API takes it."""
        return self.digest or self.tag or ""

    def __str__(self) -> str:
        return (
            f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"
        )


@dataclass(kw_only=True, frozen=True)
class Service:
    """One service (or one customer's set of it) as it shall run."""

    name: str
    image: ImageName
    instances: int
    route: str  # JSON with sorted keys: equal routes are equal texts
    app_unit: str
    announce_unit: str
    drain: float = 10.0
    start_timeout: float = 120.0
    keep: int = 3


@dataclass(kw_only=True, frozen=True)
class Removal:
    """A service that shall be gone."""

    name: str
    drain: float = 10.0


@dataclass(kw_only=True, frozen=True)
class Platform:
    """The platform's images (sha256 of their files) and its global units by key."""

    images: Mapping[str, str]
    units: Mapping[str, str]
    timeout: float = 300.0


@dataclass(kw_only=True, frozen=True)
class Certificates:
    """Every certificate that routers shall have, and how long to wait for them."""

    sources: Mapping[str, str]  # by name, as JSON with sorted keys: equal sources are equal texts
    timeout: float = 60.0


@dataclass(kw_only=True, frozen=True)
class ClusterSize:
    """How many machines shall be there, and for how long to wait for them."""

    size: int
    timeout: float = 600.0


def service(text: str) -> Service:
    """The input of `apply`."""
    top = _read(text)
    units = top.object("units")
    route = top.object("route")
    wanted = Service(
        name=_name(top),
        image=_image(top),
        instances=top.integer("instances", minimum=1),
        route=json.dumps(route.raw, sort_keys=True),
        app_unit=units.text("app"),
        announce_unit=units.text("announce"),
        drain=top.number("drain", default=10.0),
        start_timeout=top.number("startTimeout", default=120.0),
        keep=top.integer("keep", minimum=0, default=3),
    )
    _finish(top)
    return wanted


def removal(text: str) -> Removal:
    """The input of `remove`."""
    top = _read(text)
    wanted = Removal(name=_name(top), drain=top.number("drain", default=10.0))
    _finish(top)
    return wanted


def platform(text: str) -> Platform:
    """The input of `platform`."""
    top = _read(text)
    images, units = top.object("images"), top.object("units")
    wanted = Platform(
        images={name: images.text(name) for name in images.raw},
        units={key: units.text(key) for key in units.raw},
        timeout=top.number("timeout", default=300.0),
    )
    for name, sha256 in wanted.images.items():
        if not _SHA256.fullmatch(sha256):
            images.problem(name, "must be the sha256 of the image's file, 64 hex digits")
    for key in wanted.units:
        if key not in wanted.images:
            units.problem(key, "has no image of the same name in images")
    _finish(top)
    return wanted


def certificates(text: str) -> Certificates:
    """The input of `certificates`. What routers could not read is refused here."""
    top = _read(text)
    named = top.object("certificates")
    wanted = Certificates(
        sources={name: json.dumps(source, sort_keys=True) for name, source in named.raw.items()},
        timeout=top.number("timeout", default=60.0),
    )
    for name, source in named.raw.items():
        if not CERTIFICATE_NAME.fullmatch(name):
            named.problem(name, "must be 1 to 60 characters of a-z, 0-9 and -")
        try:
            parse_source(source)
        except Malformed as error:
            named.problem(name, f"is no certificate: {error}")
    _finish(top)
    return wanted


def cluster_size(text: str) -> ClusterSize:
    """The input of `wait`."""
    top = _read(text)
    wanted = ClusterSize(
        size=top.integer("size", minimum=1), timeout=top.number("timeout", default=600.0)
    )
    _finish(top)
    return wanted


def _read(text: str) -> Fields:
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ClusterError(f"standard input is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise ClusterError("standard input must be a JSON object")
    return Fields(raw)


def _finish(top: Fields) -> None:
    top.reject_unknown()
    if top.problems:
        raise ClusterError("the input is wrong: " + "; ".join(top.problems))


def _name(top: Fields) -> str:
    name = top.text("name")
    if name and not _NAME.fullmatch(name):
        top.problem("name", "must be 1 to 63 characters of a-z, 0-9 and -, no - at the ends")
    return name


def _image(top: Fields) -> ImageName:
    text = top.text("image")
    match = _IMAGE.fullmatch(text)
    if match is None:
        if text:
            top.problem(
                "image",
                f"{text!r} must be REPOSITORY:TAG or REPOSITORY@sha256:DIGEST in the private "
                "registry (no host name; a tag is required so that a release can be told apart)",
            )
        return ImageName(repository="", tag=None, digest=None)
    return ImageName(repository=match["repository"], tag=match["tag"], digest=match["digest"])
