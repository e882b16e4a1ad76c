"""Reads the tree below /services as the router sees it: who is served, and what can't be used.

Pure: it takes what etcd answered and returns values. The same tree gives the same survey on every
router, so all of them leave out the same entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cluster.etcd import Node
from cluster.router.entries import NAME, Instance, Malformed, Route, parse_instance, parse_route

Listener = tuple[Literal["tcp", "udp"], int]


@dataclass(kw_only=True, frozen=True)
class Problem:
    """A key that the template must leave out, and why."""

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


@dataclass(kw_only=True, frozen=True)
class Survey:
    """What etcd said at one moment."""

    backends: Mapping[str, int]  # service → how many of its instances can be used
    listeners: frozenset[Listener]  # of TCP and UDP services
    problems: tuple[Problem, ...]
    fingerprint: str  # changes when anything that the router uses changes

    def emptied_since(self, earlier: Survey) -> tuple[str, ...]:
        """Services that are still there but lost the last of their instances."""
        return tuple(
            name
            for name, count in self.backends.items()
            if count == 0 and earlier.backends.get(name, 0) > 0
        )


class _Claims:
    """Who owns the default site, the host names and the ports; the first by name wins."""

    def __init__(self, taken: Mapping[Listener, str]) -> None:
        self.listeners: dict[Listener, str] = {}
        self._taken = taken
        self._hosts: dict[str, str] = {}

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
            if owner := self._hosts.get(host):
                what = f"host {host}" if host else "the default site (no hosts)"
                raise Malformed(f"{what} belongs to {owner}")
        self.listeners.update(dict.fromkeys(listeners, service))
        self._hosts.update(dict.fromkeys(hosts, service))


def survey(services: Node, taken: Mapping[Listener, str]) -> Survey:
    """What the tree below /services means for a router whose ports `taken` belong to others."""
    claims = _Claims(taken)
    backends: dict[str, int] = {}
    problems: list[Problem] = []
    digest = hashlib.sha256()
    for service in sorted(services.nodes, key=lambda node: node.name):
        children = {child.name: child for child in service.nodes}
        route_node = children.get("route")
        if route_node is None:
            continue  # being made or removed: without a route nobody asks for it
        instances = children["instances"].nodes if "instances" in children else ()
        usable, bad_instances = _instances(instances)
        problems += bad_instances
        for node in (route_node, *instances):
            digest.update(f"{node.key}\0{node.value}\0".encode())
        try:
            route = parse_route(route_node.value)
            if not NAME.fullmatch(service.name):
                raise Malformed("a service's name is made of a-z, 0-9 and -")
            claims.claim(service.name, route)
        except Malformed as error:
            problems.append(Problem(key=route_node.key, reason=str(error)))
        else:
            backends[service.name] = sum(instance.serves(route) for instance in usable)
    digest.update("\0".join(problem.key for problem in problems).encode())
    return Survey(
        backends=backends,
        listeners=frozenset(claims.listeners),
        problems=tuple(problems),
        fingerprint=digest.hexdigest()[:16],
    )


def _instances(nodes: Iterable[Node]) -> tuple[list[Instance], list[Problem]]:
    usable, problems = [], []
    for node in nodes:
        try:
            usable.append(parse_instance(node.value))
        except Malformed as error:
            problems.append(Problem(key=node.key, reason=str(error)))
    return usable, problems
