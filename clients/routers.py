"""The routers that are alive, and how far each has followed the keys below /services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clients.errors import ClusterError
from clients.etcd import Etcd, Node
from contract.codec import Malformed, decode
from contract.keys import ROUTERS
from contract.router_report import RouterReport


@dataclass(kw_only=True, frozen=True)
class Router(RouterReport):
    """A router that is alive."""

    machine_id: str
    heard: int = 0  # etcd's index of its last sign of life


def read_routers(etcd: Etcd) -> tuple[Router, ...]:
    """The routers that are alive, by node."""
    found = etcd.find(ROUTERS, recursive=True)
    if found is None:
        return ()
    routers = map(parse_router, found.node.leaves())
    return tuple(sorted(routers, key=lambda router: router.node))


def parse_router(leaf: Node) -> Router:
    """The report in one key below /routers. Raises ClusterError."""
    try:
        report = decode(RouterReport, leaf.value)
    except Malformed as error:
        raise ClusterError(f"{leaf.key} in etcd can't be understood: {error}") from error
    return Router(machine_id=leaf.name, heard=leaf.modified_index, **vars(report))


def have_applied(routers: Sequence[Router], index: int) -> bool:
    """Whether every living router has applied the change with this `index`. Without a router:
    no."""
    return bool(routers) and all(router.applied >= index for router in routers)


def routers_behind(routers: Sequence[Router], index: int) -> str:
    """Who has not applied `index`, and why, for a reader."""
    if not routers:
        return "no router is alive: look at the router units with `fleet-cluster status`"
    behind = [router for router in routers if router.applied < index]
    return ", ".join(
        f"the router on {router.node} has not applied it"
        + (f" ({router.error})" if router.error else "")
        for router in behind
    )


def left_out(prefix: str, routers: Sequence[Router]) -> Iterator[str]:
    """What routers can't use of the keys below `prefix`, a line each."""
    nodes: dict[str, list[str]] = {}
    for router in routers:
        for key in dict.fromkeys(problem.key for problem in router.problems):
            if key.startswith(prefix):
                text = f"{key.removeprefix(prefix)}: {router.why_left_out(key)}"
                nodes.setdefault(text, []).append(router.node)
    for text, where in nodes.items():
        yield f"left out by the router on {', '.join(where)}: {text}"
