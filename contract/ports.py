"""The ports of the cluster, public ones and those of a node.

Files that can't import this (cloud-config, units, shell scripts, nginx) are compared with it by a
test.
"""

from __future__ import annotations

HTTP = 80
HTTPS = 443
SSH = 22
PUBLIC_SSH = 50022
"""SSH on the public address. Nothing scans it by default, and no service may publish it."""
ROUTER_HEALTH = 8089
"""The load balancer probes each router there."""

ETCD_CLIENT = 2379
ETCD_PEER = 2380
ETCD = range(ETCD_CLIENT, ETCD_PEER + 1)
REGISTRY = 5000
REGISTRY_DEBUG = 5001

HOST_PORTS = range(32768, 49152)
"""A counter on each node gives these to its instances, one after the other."""
INSTANCE_PORTS = range(32768, 61000)
"""Open between nodes and closed to services: older nodes gave all of these to instances. Linux
takes those above HOST_PORTS for outgoing connections."""
ROUTER_DATAGRAM_PORTS = range(16384, 32768)
"""A router sends a client's datagrams to its instance from one of these."""


def span(ports: range) -> str:
    """As Azure and nftables write a range."""
    return f"{ports[0]}-{ports[-1]}"
