"""The requests that the Pulumi program sends to a node: one dataclass for each verb.

They go as JSON to the standard input of `fleet-cluster VERB`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from contract.certificate_source import CertificateSource, check_certificate_name
from contract.codec import Malformed, decode
from contract.image_name import ImageName, parse_image_name
from contract.route import Route

# Leaves room in a unit's name (256) for the release and the instance.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")


@dataclass(kw_only=True, frozen=True)
class ServiceUnits:
    """The texts of a service's two unit templates, without release and digest."""

    app: str
    announce: str

    def __post_init__(self) -> None:
        for name, text in (("app", self.app), ("announce", self.announce)):
            if not text:
                raise Malformed(f"{name} is empty")


@dataclass(kw_only=True, frozen=True)
class ApplyService:
    """`apply`: one service, or one customer's set of it, as it should run. Times in seconds."""

    name: str
    image: str  # see ImageName
    instances: int
    route: Route
    units: ServiceUnits
    drain: float
    start_timeout: float
    keep: int  # older releases that stay known to fleet

    def __post_init__(self) -> None:
        _check_service_name(self.name)
        parse_image_name(self.image)
        _check_minimum("instances", self.instances, 1)
        _check_minimum("drain", self.drain, 0)
        _check_minimum("start_timeout", self.start_timeout, 0)
        _check_minimum("keep", self.keep, 0)

    @property
    def image_name(self) -> ImageName:
        return parse_image_name(self.image)


@dataclass(kw_only=True, frozen=True)
class RemoveService:
    """`remove`: a service that should be gone."""

    name: str
    drain: float

    def __post_init__(self) -> None:
        _check_service_name(self.name)
        _check_minimum("drain", self.drain, 0)


def image_of(unit: str) -> str:
    """The platform image that a unit of the platform runs."""
    return {"announcer": "cluster"}.get(unit, unit)


@dataclass(kw_only=True, frozen=True)
class Platform:
    """`platform`: its images (sha256 of their files) and global units, by name."""

    images: Mapping[str, str]
    units: Mapping[str, str]
    timeout: float

    def __post_init__(self) -> None:
        _check_minimum("timeout", self.timeout, 0)
        for name, sha256 in self.images.items():
            if not _SHA256.fullmatch(sha256):
                raise Malformed(
                    f"images.{name} must be the sha256 of the image's file, 64 hex digits"
                )
        for name in self.units:
            if image_of(name) not in self.images:
                raise Malformed(f"units.{name} has no image {image_of(name)} in images")


@dataclass(kw_only=True, frozen=True)
class Certificates:
    """`certificates`: every certificate that routers should have, by name."""

    certificates: Mapping[str, CertificateSource]

    def __post_init__(self) -> None:
        for name in self.certificates:
            check_certificate_name(name)


@dataclass(kw_only=True, frozen=True)
class WaitForCluster:
    """`wait`: how many nodes the cluster should have, and how long to wait for them."""

    size: int
    timeout: float

    def __post_init__(self) -> None:
        _check_minimum("size", self.size, 1)
        _check_minimum("timeout", self.timeout, 0)


Request = ApplyService | RemoveService | Platform | Certificates | WaitForCluster


def read_request(kind: type[T], text: str) -> T:
    """What came in on standard input. Raises Malformed, also for a key that it does not know."""
    return decode(kind, text, is_strict=True)


def _check_service_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Malformed(
            f"name must be 1 to 63 characters of a-z, 0-9 and -, no - at the ends, not {name!r}"
        )


def _check_minimum(name: str, value: float, minimum: int) -> None:
    if value < minimum:
        raise Malformed(f"{name} must be {minimum} or more, not {value!r}")
