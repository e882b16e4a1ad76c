"""The tree below /services as etcd answers it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from clients.etcd import Node


def tree(
    services: Mapping[str, Mapping[str, Any]], *, first_index: int = 1, ttl: int | None = None
) -> Node:
    """Services with `route` and `instances`, written in this order from etcd's index `first_index`
    on. Values that are no strings are JSON. Instances have `ttl` seconds left."""
    indices = itertools.count(first_index)

    def leaf(key: str, value: Any, ttl: int | None = None) -> Node:
        text = value if isinstance(value, str) else json.dumps(value)
        index = next(indices)
        return Node(key=key, value=text, created_index=index, modified_index=index, ttl=ttl)

    nodes = []
    for name, content in services.items():
        base = f"/services/{name}"
        children = [leaf(f"{base}/route", content["route"])] if "route" in content else []
        if "instances" in content:
            instances = tuple(
                leaf(f"{base}/instances/{instance}", value, ttl)
                for instance, value in content["instances"].items()
            )
            key = f"{base}/instances"
            children.append(Node(key=key, is_directory=True, nodes=instances))
        nodes.append(Node(key=base, is_directory=True, nodes=tuple(children)))
    return Node(key="/services", is_directory=True, nodes=tuple(nodes))
