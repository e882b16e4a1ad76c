"""Whether a cluster is complete again: after a test has broken something, and before the next."""

from __future__ import annotations

from typing import Any

from tests.lab.stack import LabStack

NODES = ["core-0", "core-1", "core-2"]


def is_whole(stack: LabStack, nodes: list[str], *, instances: int) -> bool:
    """Whether the cluster is complete with these nodes: etcd, fleet, routers, instances."""
    found = stack.cluster()
    known = next(one["instances"] for one in found["services"] if one["name"] == "hello")
    serving = [one for one in known if one["announced"]]
    return (
        sorted(one["node"] for one in found["machines"]) == nodes
        and sorted(one["name"] for one in found["etcd"] if one["healthy"]) == nodes
        and sorted(one["node"] for one in found["routers"] if _is_content(one)) == nodes
        and len(serving) == len(known) == instances
        and len({one["machine"] for one in serving} & set(nodes)) == instances
    )


def _is_content(router: dict[str, Any]) -> bool:
    return not router["error"] and not router["problems"]


def answers_well(stack: LabStack) -> bool:
    """Whether forty requests in a row are answered: enough to reach every node."""
    return all(stack.get("/json", timeout=5).status == 200 for _ in range(40))


def stands(stack: LabStack) -> bool:
    """Whether all running VMs are in etcd and fleet, and all instances of all services serve."""
    found = stack.cluster()
    instances = [one for service in found["services"] for one in service["instances"]]
    return (
        sorted(one["node"] for one in found["machines"]) == stack.nodes
        and sorted(one["name"] for one in found["etcd"] if one["healthy"]) == stack.nodes
        and sorted(one["node"] for one in found["routers"] if not one["error"]) == stack.nodes
        and all(one["announced"] for one in instances)
    )
