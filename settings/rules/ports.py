"""Rules about the ports that services publish on the public address."""

from collections.abc import Iterator

from settings.problems import Problem
from settings.rules.unique import claimed_twice
from settings.stack import Settings

MOST_PORTS = 250
"""Azure: a machine takes part in at most 300 rules of a load balancer, and some are ours.
https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
"""
ROUTER_PORTS = range(32768, 61000)
"""Nodes give these to instances, and Linux to outgoing connections."""

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


def problems(settings: Settings) -> Iterator[Problem]:
    """Everything that is wrong with published ports."""
    for protocol in ("tcp", "udp"):
        claims = [
            (port, f"{one.path}.{protocol}")
            for one in settings.instance_sets
            for port in (one.tcp if protocol == "tcp" else one.udp)
        ]
        for port, path in claims:
            if (owner := RESERVED_PORTS[protocol].get(port)) is not None:
                yield Problem(
                    path=path, value=port, message=f"is the port of {owner} on every machine"
                )
            elif port in ROUTER_PORTS:
                yield Problem(
                    path=path,
                    value=port,
                    message="must not be from 32768 to 60999: nodes give these to instances",
                )
        yield from claimed_twice(
            claims, f"is claimed by {{1}} already; a {protocol} port leads to one service"
        )
    published = len(settings.tcp_ports) + len(settings.udp_ports)
    if published > MOST_PORTS:
        yield Problem(
            path="fleet:services",
            message=f"publish {published} ports, and one cluster can have {MOST_PORTS}; put some "
            "services into another stack (a cell)",
        )
