"""Names and contents of a service's units. Pure: the same input always gives the same release.

A release is what shapes its units: the image's digest and both unit texts. What may change while it
runs (the number of instances, the route) is no part of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from clients.fleet import Option
from clients.fleet.unit_file import check_name, parse
from clients.registry import ADDRESS
from contract.requests import ApplyService

_UNIT = re.compile(r"(?P<release>[0-9a-f]{8})(?P<announce>-announce)?@(?P<n>[1-9][0-9]*)\.service")


@dataclass(kw_only=True, frozen=True, order=True)
class InstanceId:
    """One instance of one release of a service."""

    service: str
    release: str
    n: int

    @property
    def app(self) -> str:
        """The unit that runs the container."""
        return f"{self.service}-{self.release}@{self.n}.service"

    @property
    def announce(self) -> str:
        """The sidekick: announces the container in etcd while it is healthy."""
        return f"{self.service}-{self.release}-announce@{self.n}.service"

    @property
    def key(self) -> str:
        """Its key below /services/<name>/instances."""
        return f"{self.release}-{self.n}"

    def __str__(self) -> str:
        return f"{self.service} {self.release} instance {self.n}"


@dataclass(kw_only=True, frozen=True)
class Release:
    """A service's release with the contents of its units."""

    service: str
    id: str
    image: str
    digest: str
    app: tuple[Option, ...]
    announce: tuple[Option, ...]

    def instance(self, n: int) -> InstanceId:
        return InstanceId(service=self.service, release=self.id, n=n)


def make_release(service: ApplyService, digest: str) -> Release:
    """The release that `service` means with its image at `digest`. Raises UnitFileError."""
    texts = (digest, service.units.app, service.units.announce)
    release_id = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]
    image = f"{ADDRESS}/{service.image_name.repository}@{digest}"

    def options(text: str, name: str) -> tuple[Option, ...]:
        check_name(name)
        return parse(
            text.replace("__RELEASE__", release_id).replace("__IMAGE__", image), origin=name
        )

    last = InstanceId(service=service.name, release=release_id, n=service.instances)
    return Release(
        service=service.name,
        id=release_id,
        image=service.image,
        digest=digest,
        app=options(service.units.app, last.app),
        announce=options(service.units.announce, last.announce),
    )


def instance_of(service: str, unit: str) -> InstanceId | None:
    """Which instance of `service` a unit belongs to; None for other units.

    `api` and a customer set `api-acme` don't mix: a release is 8 hex digits and follows at once.
    """
    if not unit.startswith(service + "-"):
        return None
    match = _UNIT.fullmatch(unit[len(service) + 1 :])
    if match is None:
        return None
    return InstanceId(service=service, release=match["release"], n=int(match["n"]))


def instances_among(service: str, units: Iterable[str]) -> tuple[InstanceId, ...]:
    """The instances of `service` that have a unit among `units`, ordered."""
    found = {instance_of(service, unit) for unit in units}
    return tuple(sorted(instance for instance in found if instance is not None))
