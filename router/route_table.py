"""What a router serves, by the tree below /services: which routes, and which instances.

Pure: it takes what etcd answered and returns values. The same tree gives the same survey on every
router, but for the instances that one of them keeps through an outage of etcd.
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
from router.lives import Sighting, lives

_SERVICE_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")

Listener = tuple[Literal["tcp", "udp"], int]


@dataclass(kw_only=True, frozen=True)
class Served:
    """A service as clients get it: the parts of its route that are its own, and its instances."""

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
        """Those that lead to an instance: without any, nginx does not listen."""
        tcp: set[Listener] = {("tcp", port) for one in self.instances.values() for port in one.tcp}
        udp: set[Listener] = {("udp", port) for one in self.instances.values() for port in one.udp}
        return self.listeners & (tcp | udp)


@dataclass(kw_only=True, frozen=True)
class Survey:
    """What etcd said at one moment, and what is kept from before."""

    services: Mapping[str, Served] = field(default_factory=dict)
    usable: Mapping[str, Announced] = field(default_factory=dict)  # by key; of all services
    kept: tuple[str, ...] = ()  # the keys of those that are not announced any more
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
    """Who owns the default site, the host names and the ports: whoever claimed them first.

    Services change at the same time and in any order, so one may claim what another is about to
    give up. The one that claimed it first keeps it until then; the others have the rest of their
    routes.
    """

    def __init__(self, taken: Mapping[Listener, str]) -> None:
        self._listeners: dict[Listener, str] = {}
        self._sites: dict[str, str] = {}
        self._taken = taken
        self.problems: list[Problem] = []

    def own_part(self, service: str, key: str, route: Route) -> tuple[Route, bool]:
        """The route without what belongs to those before it, and whether the default site is its
        own. Raises Malformed."""
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


def survey(
    services: Node,
    taken: Mapping[Listener, str],
    *,
    reports: Iterable[Sighting] = (),
    before: Survey | None = None,
    asked: float = 0.0,
    answered: float = 0.0,
) -> Survey:
    """What the tree below /services means for a router whose ports `taken` belong to others.

    `reports` is what routers tell of their nodes. With `before`, what was served until now,
    instances that were not withdrawn are kept. `asked` and `answered`: when etcd was asked and when
    it answered, by the router's clock.
    """
    announced, malformed = read_announced(services, asked)
    nodes = lives([*reports, *(one.sighting for one in announced.values())])
    found, problems = usable(announced.values(), nodes)
    keeping: dict[str, Announced] = {}
    if before is not None:
        read = announced.keys() | {problem.key for problem in malformed}
        keeping = {one.key: one for one in kept(before.usable, announced, read, nodes, answered)}
    found |= keeping
    served, refused = _served(services, taken, found)
    return Survey(
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
    """The services' names and routes. One being made or removed has none: nobody asks for it."""
    routes = [
        (service.name, child)
        for service in services.nodes
        for child in service.nodes
        if child.name == "route"
    ]
    return sorted(routes, key=lambda one: (one[1].created_index, one[0]))
