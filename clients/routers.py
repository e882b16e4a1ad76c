"""The routers that are alive, and how far each has followed the keys below /services."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clients.errors import ClusterError
from clients.etcd import Etcd, Node
from contract.keys import ROUTERS

# What a router leaves out: "/services/x/route: why; /certificates/y: why".
_KEY = r"/(?:services|certificates)/\S+?: "
_PROBLEM = re.compile(rf"(?P<key>{_KEY})(?P<reason>.+?)(?:; (?={_KEY})|$)", re.S)


@dataclass(kw_only=True, frozen=True)
class Router:
    """One router's own report. It lives 15 s unless the router renews it."""

    machine_id: str
    node: str
    applied: int  # its running nginx reflects /services up to this index
    error: str | None
    boot: str = ""  # which start of its node, and of its docker, this is; empty: not told
    docker: str = ""
    kept: tuple[str, ...] = ()  # keys of instances that it serves although they are gone
    expired: tuple[str, ...] = ()  # certificates of which nothing else is wrong
    heard: int = 0  # etcd's index of its last sign of life

    @property
    def value(self) -> str:
        """What its key holds."""
        told = ("node", "applied", "error", "boot", "docker", "kept", "expired")
        return json.dumps({name: getattr(self, name) for name in told})

    @property
    def problems(self) -> Mapping[str, str]:
        """What it has to leave out, by key in etcd. Empty also if the error is of another kind:
        then it applies nothing new."""
        text = self.error or ""
        if not _PROBLEM.match(text):
            return {}
        reasons = defaultdict(list)  # a route may have several hosts and ports that are others'
        for match in _PROBLEM.finditer(text):
            reasons[match["key"][:-2]].append(match["reason"])
        return {key: "; ".join(several) for key, several in reasons.items()}

    @property
    def trouble(self) -> str | None:
        """Why it applies nothing new, if so."""
        return None if self.problems else self.error


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
        raw = json.loads(leaf.value)
        return Router(
            machine_id=leaf.name,
            node=str(raw["node"]),
            applied=int(raw["applied"]),
            error=raw.get("error"),
            # routers of earlier releases say less
            boot=str(raw.get("boot") or ""),
            docker=str(raw.get("docker") or ""),
            kept=tuple(map(str, raw.get("kept") or ())),
            expired=tuple(map(str, raw.get("expired") or ())),
            heard=leaf.modified_index,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClusterError(f"{leaf.key} in etcd can't be understood: {error!r}") from error


def have_applied(routers: Sequence[Router], index: int) -> bool:
    """Whether every living router serves what was written at `index`. Without a router: no."""
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
        for key, reason in router.problems.items():
            if key.startswith(prefix):
                nodes.setdefault(f"{key.removeprefix(prefix)}: {reason}", []).append(router.node)
    for problem, where in nodes.items():
        yield f"left out by the router on {', '.join(where)}: {problem}"
