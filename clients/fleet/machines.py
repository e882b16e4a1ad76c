"""fleet's record in etcd of the machines that are alive.

For a node without an etcd of its own: it has no fleet API either.
"""

from __future__ import annotations

import json

from clients.etcd import Etcd, EtcdError

# coreos/fleet v1.0.0, registry/machine.go: <prefix>/machines/<id>/object, TTL = agent_ttl
_MACHINES = "/_coreos.com/fleet/machines"


def alive_addresses(etcd: Etcd) -> frozenset[str]:
    """Addresses of the machines with a heartbeat in fleet, read through the quorum.

    Empty if fleet has never run. Raises EtcdError if etcd does not answer: an outage must never
    look like a silent node.
    """
    found = etcd.find(_MACHINES, recursive=True)
    if found is None:
        return frozenset()
    objects = (leaf for leaf in found.node.leaves() if leaf.name == "object")
    try:
        return frozenset(str(json.loads(leaf.value)["PublicIP"]) for leaf in objects)
    except (ValueError, KeyError) as error:
        raise EtcdError(f"fleet's record of a machine can't be understood: {error!r}") from error
