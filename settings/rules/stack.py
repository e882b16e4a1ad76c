"""Rules that compare several values. Each is a generator of the problems that it finds."""

import datetime
import itertools
import re
from collections.abc import Iterator

from settings.problems import Problem
from settings.rules import ports, secrets, services
from settings.rules.unique import claimed_twice, repeated
from settings.stack import Settings

FLEET_UNITS = 500
"""fleet becomes slow above about 500 units in a cluster (fleet's README and users' reports)."""
RESERVED_NAMES = frozenset(
    {"announcer", "certificates", "cluster", "etcd", "fleet", "platform", "registry", "router"}
)
"""Names of platform units, and of locks that `fleet-cluster` uses."""


def problems(settings: Settings) -> Iterator[Problem]:
    """The problems of values that are valid one by one but not together."""
    yield from _machine_size(settings)
    yield from repeated("fleet:zones", settings.zones)
    yield from repeated("fleet:deployers", settings.deployers)
    yield from repeated("fleet:developers", settings.developers)
    yield from _admin_cidrs(settings)
    yield from _names(settings)
    yield from _instances(settings)
    yield from services.problems(settings)
    yield from ports.problems(settings)
    yield from secrets.problems(settings, datetime.datetime.now(datetime.UTC))


def _admin_cidrs(settings: Settings) -> Iterator[Problem]:
    for one, other in itertools.combinations(settings.admin_cidrs, 2):
        if one.overlaps(other):
            # Azure: OverlappingSubnetsNotPermittedInSecurityRule
            yield Problem(
                path="fleet:adminCidrs",
                value=str(other),
                message=f"must not overlap {one}: Azure refuses a security rule with both",
            )
    if not settings.public_admin_cidrs:
        yield Problem(
            path="fleet:adminCidrs",
            value=", ".join(map(str, settings.admin_cidrs)),
            message="must include a public range: `pulumi up` reaches storage and vault over the "
            "Internet, from your machine's public address",
        )


def _machine_size(settings: Settings) -> Iterator[Problem]:
    """https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions"""
    match = re.fullmatch(
        r"Standard_[A-Z]+(?P<cores>\d+)(-(?P<active>\d+))?(?P<letters>[a-z]*)(_v(?P<version>\d+))?",
        settings.vm_size,
    )
    refused = Problem(
        path="fleet:vmSize",
        value=settings.vm_size,
        message="must be a size that supports premium disks over SCSI, like Standard_D2s_v5: "
        "with an s after the number of cores, without a p (ARM processors), and at most _v5 (later "
        "sizes attach disks only by NVMe)",
    )
    letters = match["letters"] if match else ""
    if match is None or "s" not in letters or "p" in letters or int(match["version"] or 1) > 5:
        yield refused
        return
    cores = int(match["active"] or match["cores"])
    for one in settings.instance_sets:
        if one.limits.cpus > cores:
            yield Problem(
                path=f"{one.path}.limits.cpus",
                value=one.limits.cpus,
                message=f"must be at most {cores}, the cores of {settings.vm_size}",
            )


def _names(settings: Settings) -> Iterator[Problem]:
    for name in settings.services:
        if name in RESERVED_NAMES:
            yield Problem(
                path=f"fleet:services.{name}",
                message=f"must not have one of these names: {', '.join(sorted(RESERVED_NAMES))}",
            )
    yield from claimed_twice(
        ((one.name, one.path) for one in settings.instance_sets),
        "would be called {0}, like {1}",
        show=False,
    )


def _instances(settings: Settings) -> Iterator[Problem]:
    for one in settings.instance_sets:
        if one.spread and one.instances > settings.nodes:
            yield Problem(
                path=f"{one.path}.instances",
                value=one.instances,
                message=f"must be at most {settings.nodes}, the number of nodes, because spread is "
                "true (at most one instance of a release on each node)",
            )
    instances = sum(one.instances for one in settings.instance_sets)
    units = 2 * instances + 3 * settings.nodes
    if units > FLEET_UNITS:
        yield Problem(
            path="fleet:services",
            message=f"needs {units} units ({instances} instances with a sidekick each, and the "
            f"platform's), but fleet carries about {FLEET_UNITS} in one cluster. Put some services "
            "or customers into another stack (a cell)",
        )
