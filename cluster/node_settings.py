"""The node's settings for the program, from /etc/fleet-node.conf and /run/node.env."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clients.errors import ClusterError


@dataclass(kw_only=True, frozen=True)
class NodeSettings:
    """This node and its cluster."""

    node: str
    address: str
    cluster: str
    size: int
    data_account: str
    client_id: str


def read(variables: Mapping[str, str]) -> NodeSettings:
    """Raises ClusterError with every variable that is missing or invalid."""
    problems = []

    def text(name: str) -> str:
        value = variables.get(name, "")
        if not value:
            problems.append(f"{name} is not set")
        return value

    size = text("CLUSTER_SIZE")
    if size and not size.isdigit():
        problems.append(f"CLUSTER_SIZE must be a number, not {size!r}")
    settings = NodeSettings(
        node=text("NODE_NAME"),
        address=text("NODE_IP"),
        cluster=text("CLUSTER_NAME"),
        size=int(size) if size.isdigit() else 0,
        data_account=text("DATA_ACCOUNT"),
        client_id=text("IDENTITY_CLIENT_ID"),
    )
    if problems:
        raise ClusterError(
            "; ".join(problems) + ": start with --env-file /etc/fleet-node.conf and /run/node.env"
        )
    return settings
