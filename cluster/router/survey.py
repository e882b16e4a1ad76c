"""Reads the tree below /services as the router sees it: who is served, and what can't be used.

Pure: it takes what etcd answered and returns values. The same tree gives the same survey on every
router, so all of them leave out the same entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    """A key that the router must leave out, and why."""

    key: str
    reason: str

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
    """Who owns the default site, the host names and the ports; the first by name wins."""

    def __init__(self, taken: Mapping[Listener, str]) -> None:
        self.listeners: dict[Listener, str] = {}
        self.hosts: dict[str, str] = {}
        self._taken = taken

    def claim(self, service: str, route: Route) -> None:
        """Raises Malformed if this route can't be served beside the ones before it."""
        listeners: list[Listener] = [("tcp", port) for port in route.tcp]
        listeners += [("udp", port) for port in route.udp]
        if len(set(listeners)) < len(listeners):
            raise Malformed("it names the same port twice")
        for protocol, port in listeners:
            listener = (protocol, port)
            if owner := self._taken.get(listener) or self.listeners.get(listener):
                raise Malformed(f"{protocol} port {port} belongs to {owner}")
        hosts = ("",) if route.is_default_site else route.hosts if route.http else ()
        for host in hosts:
            if owner := self.hosts.get(host):
                what = f"host {host}" if host else "the default site (no hosts)"
                raise Malformed(f"{what} belongs to {owner}")
        self.listeners.update(dict.fromkeys(listeners, service))
        self.hosts.update(dict.fromkeys(hosts, service))


def survey(services: Node, taken: Mapping[Listener, str]) -> Survey:
    """What the tree below /services means for a router whose ports `taken` belong to others."""
    claims = _Claims(taken)
    backends: dict[str, int] = {}
    waiting: list[str] = []
    announced, problems = _usable(services)
    for service in sorted(services.nodes, key=lambda node: node.name):
        children = {child.name: child for child in service.nodes}
        route_node = children.get("route")
        if route_node is None:
            continue  # being made or removed: without a route nobody asks for it
        try:
            route = parse_route(route_node.value)
            if not NAME.fullmatch(service.name):
                raise Malformed("a service's name is made of a-z, 0-9 and -")
            claims.claim(service.name, route)
        except Malformed as error:
            problems.append(Problem(key=route_node.key, reason=str(error)))
        else:
            ours = announced.get(service.name, [])
            backends[service.name] = sum(one.instance.serves(route) for one in ours)
            if route.tcp or route.udp:
                waiting += _waiting(ours)
    return Survey(
        backends=backends,
        hosts=frozenset(claims.hosts) - {""},
        listeners=frozenset(claims.listeners),
        waiting=tuple(waiting),
        problems=tuple(problems),
    )


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
