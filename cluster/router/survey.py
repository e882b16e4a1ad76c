"""Reads the tree below /services as the router sees it: who is served, and what can't be used.

Pure: it takes what etcd answered and returns values. The same tree gives the same survey on every
router, so all of them leave out the same entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from cluster.etcd import Node
from cluster.router.entries import (
    NAME,
    Instance,
    Malformed,
    Route,
    number_of,
    parse_instance,
    parse_route,
)

Listener = tuple[Literal["tcp", "udp"], int]


@dataclass(kw_only=True, frozen=True)
class Problem:
    """A key that the router must leave out, or a part of a route, and why."""

    key: str
    reason: str
    part: str = ""  # a host, a listener as tcp/7000, or / for the default site

    @property
    def skip(self) -> str:
        """What the templates know it by."""
        return f"{self.key}#{self.part}" if self.part else self.key

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


@dataclass(kw_only=True, frozen=True)
class Survey:
    """What etcd said at one moment."""

    backends: Mapping[str, int]  # service → how many of its instances can be used
    hosts: frozenset[str]  # of all services
    listeners: frozenset[Listener]  # of TCP and UDP services
    waiting: tuple[str, ...]  # keys of instances that get no TCP and UDP session yet
    problems: tuple[Problem, ...]

    def emptied_since(self, earlier: Survey) -> tuple[str, ...]:
        """Services that are still there but lost the last of their instances."""
        return tuple(
            name
            for name, count in self.backends.items()
            if count == 0 and earlier.backends.get(name, 0) > 0
        )


@dataclass(kw_only=True, frozen=True)
class _Announced:
    """An instance that the router can use."""

    key: str
    number: int
    since: int  # etcd's index when it was announced: the order in which instances came
    instance: Instance


class _Claims:
    """Who owns the default site, the host names and the ports: whoever claimed them first.

    Services change at the same time and in any order, so one may claim what another is about to let
    go of. The one that claimed it first keeps it until then, and everybody has the rest of their
    route.
    """

    def __init__(self, taken: Mapping[Listener, str]) -> None:
        self.listeners: dict[Listener, str] = {}
        self.hosts: dict[str, str] = {}
        self._taken = taken

    def claim(self, service: str, key: str, route: Route) -> Iterator[Problem]:
        """The parts of a route that belong to those before it. Raises Malformed."""
        listeners: list[Listener] = [("tcp", port) for port in route.tcp]
        listeners += [("udp", port) for port in route.udp]
        if len(set(listeners)) < len(listeners):
            raise Malformed("it names the same port twice")
        for protocol, port in listeners:
            listener = (protocol, port)
            owner = self._taken.get(listener) or self.listeners.setdefault(listener, service)
            if owner != service:
                reason = f"{protocol} port {port} belongs to {owner}"
                yield Problem(key=key, reason=reason, part=f"{protocol}/{port}")
        for host in ("/",) if route.is_default_site else route.hosts if route.http else ():
            owner = self.hosts.setdefault(host, service)
            if owner != service:
                what = "the default site (no hosts)" if host == "/" else f"host {host}"
                yield Problem(key=key, reason=f"{what} belongs to {owner}", part=host)


def survey(services: Node, taken: Mapping[Listener, str]) -> Survey:
    """What the tree below /services means for a router whose ports `taken` belong to others."""
    claims = _Claims(taken)
    backends: dict[str, int] = {}
    waiting: list[str] = []
    announced, problems = _usable(services)
    for name, node in _routes_by_age(services):
        try:
            route = parse_route(node.value)
            if not NAME.fullmatch(name):
                raise Malformed("a service's name is made of a-z, 0-9 and -")
            problems += claims.claim(name, node.key, route)
        except Malformed as error:
            problems.append(Problem(key=node.key, reason=str(error)))
        else:
            ours = announced.get(name, [])
            backends[name] = sum(one.instance.serves(route) for one in ours)
            if route.tcp or route.udp:
                waiting += _waiting(ours)
    return Survey(
        backends=backends,
        hosts=frozenset(claims.hosts) - {"/"},
        listeners=frozenset(claims.listeners),
        waiting=tuple(waiting),
        problems=tuple(problems),
    )


def _routes_by_age(services: Node) -> list[tuple[str, Node]]:
    """The services' names and routes. One being made or removed has none: nobody asks for it."""
    routes = [
        (service.name, child)
        for service in services.nodes
        for child in service.nodes
        if child.name == "route"
    ]
    return sorted(routes, key=lambda one: (one[1].created_index, one[0]))


def _instances(service: Node) -> tuple[Node, ...]:
    return next((child.nodes for child in service.nodes if child.name == "instances"), ())


def _usable(services: Node) -> tuple[dict[str, list[_Announced]], list[Problem]]:
    """The usable instances by service, and why the others are not.

    An address that is announced twice belongs to who came last: the other one's node lost it, and
    its clients must not reach another service's instance until its key expires.
    """
    found: dict[str, list[_Announced]] = {}
    problems: list[Problem] = []
    last: dict[tuple[str, str], _Announced] = {}
    for service in sorted(services.nodes, key=lambda node: node.name):
        for node in _instances(service):
            try:
                one = _Announced(
                    key=node.key,
                    number=number_of(node.name),
                    since=node.created_index,
                    instance=parse_instance(node.value),
                )
            except Malformed as error:
                problems.append(Problem(key=node.key, reason=str(error)))
                continue
            found.setdefault(service.name, []).append(one)
            for endpoint in one.instance.endpoints:
                if endpoint not in last or last[endpoint].since < one.since:
                    last[endpoint] = one
    for name, instances in found.items():
        for one in list(instances):
            for endpoint in sorted(one.instance.endpoints):
                if last[endpoint] is not one:
                    found[name].remove(one)
                    reason = f"{endpoint[1]} belongs to {last[endpoint].key} by now"
                    problems.append(Problem(key=one.key, reason=reason))
                    break
    return found, problems


def _waiting(instances: Iterable[_Announced]) -> list[str]:
    """While two releases run side by side, an instance number belongs to the one that has it
    longer: its clients stay as long as it lives, with TCP and UDP."""
    holders: dict[int, _Announced] = {}
    waiting = []
    for one in sorted(instances, key=lambda one: one.since):
        if holders.setdefault(one.number, one) is not one:
            waiting.append(one.key)
    return sorted(waiting)
