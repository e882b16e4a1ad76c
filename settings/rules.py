"""Rules that concern more than one value. Each is a generator of the problems it finds."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from settings.problems import Problem
from settings.stack import Settings

FLEET_UNITS = 500
"""fleet grows slow past about 500 units in a cluster (its own README and users' reports)."""
ROUTER_PORTS = range(32768, 61000)
"""Linux picks ports of outgoing connections here, and docker those of instances."""

# What listens on a node already, and 443/udp, which is kept for HTTP/3.
RESERVED_PORTS = {
    "tcp": {
        22: "SSH",
        53: "the resolver",
        80: "the router",
        443: "the router",
        2379: "etcd",
        2380: "etcd",
        5000: "the registry",
        5001: "the registry",
        8089: "the router's health",
    },
    "udp": {53: "the resolver", 68: "DHCP", 123: "time", 443: "the router"},
}
RESERVED_NAMES = frozenset({"cluster", "etcd", "fleet", "registry", "router"})


def problems(settings: Settings) -> Iterator[Problem]:
    """Everything that is wrong with values which, each for itself, are right."""
    yield from _machine_size(settings)
    yield from _repeated("fleet:zones", settings.zones)
    yield from _repeated("fleet:developers", settings.developers)
    yield from _repeated("fleet:adminCidrs", map(str, settings.admin_cidrs))
    yield from _services(settings)
    yield from _names(settings)
    yield from _instances(settings)
    yield from _hosts(settings)
    yield from _ports(settings)


def _machine_size(settings: Settings) -> Iterator[Problem]:
    """https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions"""
    match = re.fullmatch(
        r"Standard_[A-Z]+(?P<cores>\d+)(-(?P<active>\d+))?(?P<letters>[a-z]*)(_v(?P<version>\d+))?",
        settings.vm_size,
    )
    refused = Problem(
        path="fleet:vmSize",
        value=settings.vm_size,
        message="must be a size that takes premium disks over SCSI, like Standard_D2s_v5: "
        "an s after the number of cores, and at most _v5 (later ones attach disks by NVMe only)",
    )
    if match is None or "s" not in match["letters"] or int(match["version"] or 1) > 5:
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


def _services(settings: Settings) -> Iterator[Problem]:
    for name, service in settings.services.items():
        path = f"fleet:services.{name}"
        if service.http is None and not service.tcp and not service.udp:
            yield Problem(path=path, message="must have http, tcp or udp: it could not be reached")
        if service.customers is not None:
            if service.http is None:
                yield Problem(path=f"{path}.http", message="is missing; customers need it")
            elif service.http.hosts:
                yield Problem(
                    path=f"{path}.http.hosts",
                    value=list(service.http.hosts),
                    message="must be left out: each customer has hosts of its own",
                )
            if service.tcp or service.udp:
                yield Problem(
                    path=path,
                    message="must have either customers or tcp and udp: a public port can lead to "
                    "one customer only",
                )


def _names(settings: Settings) -> Iterator[Problem]:
    for name in settings.services:
        if name in RESERVED_NAMES:
            yield Problem(
                path=f"fleet:services.{name}",
                message=f"must not be called one of {', '.join(sorted(RESERVED_NAMES))}",
            )
    yield from _shared(
        ((one.name, one.path) for one in settings.instance_sets),
        "would be called {0}, as {1} is",
    )


def _instances(settings: Settings) -> Iterator[Problem]:
    for one in settings.instance_sets:
        if one.spread and one.instances > settings.nodes:
            yield Problem(
                path=f"{one.path}.instances",
                value=one.instances,
                message=f"must be at most {settings.nodes}, the number of machines, while spread "
                "is true (one instance of a release on a machine)",
            )
    instances = sum(one.instances for one in settings.instance_sets)
    units = 2 * instances + 2 * settings.nodes
    if units > FLEET_UNITS:
        yield Problem(
            path="fleet:services",
            message=f"needs {units} units ({instances} instances with a sidekick each, and the "
            f"platform's), and fleet carries about {FLEET_UNITS} in one cluster; put some services "
            "or customers into another stack (a cell)",
        )


def _hosts(settings: Settings) -> Iterator[Problem]:
    web = [(one, one.http) for one in settings.instance_sets if one.http is not None]
    yield from _shared(
        ((host, _hosts_path(one.path)) for one, http in web for host in http.hosts),
        "the host {0} is claimed by {1} already",
    )
    default_sites = [one.path for one, http in web if not http.hosts]
    for path in default_sites[1:]:
        yield Problem(
            path=_hosts_path(path),
            message=f"is missing; only one service can be the default site, and {default_sites[0]} "
            "is",
        )


def _hosts_path(path: str) -> str:
    return f"{path}.hosts" if ".customers." in path else f"{path}.http.hosts"


def _ports(settings: Settings) -> Iterator[Problem]:
    for protocol in ("tcp", "udp"):
        claims = [
            (port, f"{one.path}.{protocol}")
            for one in settings.instance_sets
            for port in (one.tcp if protocol == "tcp" else one.udp)
        ]
        for port, path in claims:
            if (owner := RESERVED_PORTS[protocol].get(port)) is not None:
                yield Problem(path=path, value=port, message=f"is the port of {owner}")
            elif port in ROUTER_PORTS:
                yield Problem(
                    path=path,
                    value=port,
                    message="must not be from 32768 to 60999: docker gives these to instances",
                )
        yield from _shared(claims, f"the {protocol} port {{0}} is claimed by {{1}} already")


def _shared(claims: Iterable[tuple[object, str]], message: str) -> Iterator[Problem]:
    """A problem for each path that claims what another one claims already."""
    paths: dict[object, list[str]] = defaultdict(list)
    for claimed, path in claims:
        paths[claimed].append(path)
    for claimed, (first, *others) in paths.items():
        for other in others:
            yield Problem(path=other, message=message.format(claimed, first))


def _repeated(path: str, values: Iterable[str]) -> Iterator[Problem]:
    values = list(values)
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield Problem(path=path, value=value, message="must not be given twice")
