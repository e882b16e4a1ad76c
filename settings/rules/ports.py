"""Rules about the ports that services publish on the public address."""

from collections.abc import Iterator

from contract.ports import (
    ETCD_CLIENT,
    ETCD_PEER,
    HTTP,
    HTTPS,
    INSTANCE_PORTS,
    REGISTRY,
    REGISTRY_DEBUG,
    ROUTER_HEALTH,
    SSH,
)
from settings.problems import Problem
from settings.rules.unique import claimed_twice
from settings.stack import Settings

MOST_PORTS = 250
"""Azure: at most 300 load balancer rules per machine; the platform uses some of them.
https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
"""

# The ports that a node listens on, and 443/udp, which is reserved for HTTP/3.
RESERVED_PORTS = {
    "tcp": {
        SSH: "SSH",
        53: "the resolver",
        HTTP: "the router",
        HTTPS: "the router",
        ETCD_CLIENT: "etcd",
        ETCD_PEER: "etcd",
        REGISTRY: "the registry",
        REGISTRY_DEBUG: "the registry",
        ROUTER_HEALTH: "the router's health",
    },
    "udp": {53: "the resolver", 68: "DHCP", 123: "time", HTTPS: "the router"},
}


def problems(settings: Settings) -> Iterator[Problem]:
    """The problems of published ports."""
    for protocol in ("tcp", "udp"):
        claims = [
            (port, f"{one.path}.{protocol}")
            for one in settings.instance_sets
            for port in (one.tcp if protocol == "tcp" else one.udp)
        ]
        for port, path in claims:
            if (owner := RESERVED_PORTS[protocol].get(port)) is not None:
                yield Problem(
                    path=path, value=port, message=f"is the port of {owner} on every node"
                )
            elif port in INSTANCE_PORTS:
                yield Problem(
                    path=path,
                    value=port,
                    message=f"must not be from {INSTANCE_PORTS[0]} to {INSTANCE_PORTS[-1]}: "
                    "nodes give these to instances",
                )
        yield from claimed_twice(
            claims, f"is already used by {{1}}; a {protocol} port leads to one service"
        )
    published = len(settings.tcp_ports) + len(settings.udp_ports)
    if published > MOST_PORTS:
        yield Problem(
            path="fleet:services",
            message=f"publish {published} ports, but one cluster can publish {MOST_PORTS}. Put "
            "some services into another stack (a cell)",
        )
