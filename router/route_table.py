"""The routes and instances below /services that a router serves.

Pure: it takes etcd's answer and returns values. The same answer gives the same table on every
router, except for instances that a router keeps through an outage of etcd.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from clients.etcd import Node
from contract.codec import Malformed, decode
from contract.instance import Instance
from contract.route import Route
from contract.router_report import Problem
from router.instances import Announced, kept, read_announced, usable, waiting
from router.node_starts import Observation, current_starts

_SERVICE_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")

Listener = tuple[Literal["tcp", "udp"], int]


@dataclass(kw_only=True, frozen=True)
class Served:
    """The part of a service's route that a router serves, and the service's instances."""

    route: Route
    is_default_site: bool  # it takes the requests for hosts that no service names
    instances: Mapping[str, Instance]  # by <release>-<n>

    @property
    def listeners(self) -> frozenset[Listener]:
        """The ports that it may listen on."""
        tcp: set[Listener] = {("tcp", one.port) for one in self.route.tcp}
        return frozenset(tcp | {("udp", one.port) for one in self.route.udp})

    @property
    def open_listeners(self) -> frozenset[Listener]:
        """The ports that lead to an instance. Without an instance, nginx does not listen."""
        tcp: set[Listener] = {("tcp", port) for one in self.instances.values() for port in one.tcp}
        udp: set[Listener] = {("udp", port) for one in self.instances.values() for port in one.udp}
        return self.listeners & (tcp | udp)


@dataclass(kw_only=True, frozen=True)
class RouteTable:
    """Everything that a router serves at one moment."""

    services: Mapping[str, Served] = field(default_factory=dict)
    usable: Mapping[str, Announced] = field(default_factory=dict)  # by key, of all services
    kept: tuple[str, ...] = ()  # the keys of instances that are no longer announced
    problems: tuple[Problem, ...] = ()

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(host for one in self.services.values() for host in one.route.hosts)

    @property
    def listeners(self) -> frozenset[Listener]:
        return frozenset().union(*(one.listeners for one in self.services.values()))

    @property
    def open_listeners(self) -> frozenset[Listener]:
        return frozenset().union(*(one.open_listeners for one in self.services.values()))


class _Claims:
    """The owners of the default site, of host names and of ports: the first to claim each.

    Services change at the same time and in any order, so one may claim a host that another is about
    to give up. The first keeps it until then; the other gets the rest of its route.
    """

    def __init__(self, taken: Mapping[Listener, str]) -> None:
        self._listeners: dict[Listener, str] = {}
        self._sites: dict[str, str] = {}
        self._taken = taken
        self.problems: list[Problem] = []

    def own_part(self, service: str, key: str, route: Route) -> tuple[Route, bool]:
        """The route without what others own, and whether the service owns the default site.
        Raises Malformed."""
        if any(len(set(ports)) < len(ports) for ports in (route.tcp, route.udp)):
            raise Malformed("it names the same port twice")
        foreign = []

        def is_own(owner: str, what: str) -> bool:
            if owner != service:
                foreign.append(Problem(key=key, reason=f"{what} belongs to {owner}"))
            return owner == service

        def is_own_port(protocol: Literal["tcp", "udp"], port: int) -> bool:
            owner = self._taken.get((protocol, port))
            owner = owner or self._listeners.setdefault((protocol, port), service)
            return is_own(owner, f"{protocol} port {port}")

        def is_own_site(name: str, what: str) -> bool:
            return is_own(self._sites.setdefault(name, service), what)

        own = replace(
            route,
            tcp=tuple(one for one in route.tcp if is_own_port("tcp", one.port)),
            udp=tuple(one for one in route.udp if is_own_port("udp", one.port)),
            hosts=tuple(
                host for host in route.hosts if route.http and is_own_site(host, f"host {host}")
            ),
        )
        is_default_site = (
            route.http and not route.hosts and is_own_site("", "the default site (no hosts)")
        )
        self.problems += foreign
        return own, is_default_site


def make_route_table(
    services: Node,
    taken: Mapping[Listener, str],
    *,
    reports: Iterable[Observation] = (),
    before: RouteTable | None = None,
    asked: float = 0.0,
    answered: float = 0.0,
) -> RouteTable:
    """The table for a router, by the tree below /services.

    `taken` are ports that other programs own. `reports` are observations of nodes by routers. With
    `before`, the table until now, instances that were not withdrawn are kept. `asked` and
    `answered`: when the router asked etcd and got its answer, by the router's clock.
    """
    announced, malformed = read_announced(services, asked)
    starts = current_starts([*reports, *(one.observation for one in announced.values())])
    found, problems = usable(announced.values(), starts)
    keeping: dict[str, Announced] = {}
    if before is not None:
        read = announced.keys() | {problem.key for problem in malformed}
        keeping = {one.key: one for one in kept(before.usable, announced, read, starts, answered)}
    found |= keeping
    served, refused = _served(services, taken, found)
    return RouteTable(
        services=served,
        usable=found,
        kept=tuple(sorted(keeping)),
        problems=(*malformed, *problems, *refused),
    )


def _served(
    services: Node, taken: Mapping[Listener, str], usable: Mapping[str, Announced]
) -> tuple[dict[str, Served], list[Problem]]:
    claims = _Claims(taken)
    served, problems = {}, []
    for name, node in _routes_by_age(services):
        try:
            if not _SERVICE_NAME.fullmatch(name):
                raise Malformed("a service's name is made of a-z, 0-9 and -")
            wanted = decode(Route, node.value)
            route, is_default_site = claims.own_part(name, node.key, wanted)
        except Malformed as error:
            problems.append(Problem(key=node.key, reason=str(error)))
            continue
        ours = [one for one in usable.values() if one.service == name]
        late = waiting(ours)
        served[name] = Served(
            route=route,
            is_default_site=is_default_site,
            instances={
                one.name: replace(one.instance, tcp={}, udp={}) if one.key in late else one.instance
                for one in sorted(ours, key=lambda one: one.name)
            },
        )
    return served, problems + claims.problems


def _routes_by_age(services: Node) -> list[tuple[str, Node]]:
    """The services' names and routes. While a service is made or removed, it may have no route."""
    routes = [
        (service.name, child)
        for service in services.nodes
        for child in service.nodes
        if child.name == "route"
    ]
    return sorted(routes, key=lambda one: (one[1].created_index, one[0]))
