"""Which start of each node, and of its docker, is the present one.

A node that has started again gave its addresses away; so did a docker that has. Both are told by
ids that change then (/run/node-life on the node): by routers' reports, and by instances' keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(kw_only=True, frozen=True)
class Life:
    """One start of a node and of its docker. Empty: not told."""

    boot: str = ""
    docker: str = ""


@dataclass(kw_only=True, frozen=True)
class Sighting:
    """What was told of a node."""

    node: str
    life: Life
    heard: int  # etcd's index of the last sign of life of who told it
    is_report: bool  # a router looks again at every beat; a key says how it was at first


@dataclass(kw_only=True, frozen=True)
class Lives:
    """What is known about the nodes of the cluster, by name."""

    boots: Mapping[str, str]
    dockers: Mapping[str, frozenset[str]]

    def is_of_another_boot(self, node: str, life: Life) -> bool:
        """The node has started since. False if too little was told."""
        return _differs(life.boot, self.boots.get(node))

    def has_ended(self, node: str, life: Life) -> bool:
        """The node or its docker has started since, as far as anything tells."""
        return self.is_of_another_boot(node, life) or any(
            _differs(life.docker, docker) for docker in self.dockers.get(node, ())
        )


def lives(sightings: Iterable[Sighting]) -> Lives:
    """The present life of each node. Of two boots the one that was heard of last is it."""
    by_node = defaultdict(list)
    for sighting in sorted(sightings, key=lambda one: one.heard):
        by_node[sighting.node].append(sighting)
    boots, dockers = {}, {}
    for node, told in by_node.items():
        boots[node] = next((one.life.boot for one in reversed(told) if one.life.boot), "")
        present = [one for one in told if one.life.boot == boots[node]]
        reports = [one for one in present if one.is_report]
        dockers[node] = frozenset(one.life.docker for one in reports[-1:] or present)
    return Lives(boots=boots, dockers=dockers)


def read_life(folder: Path) -> Life:
    """This node's, from the files that it keeps for that."""
    return Life(boot=_text(folder / "boot"), docker=_text(folder / "docker"))


def _differs(one: str, other: str | None) -> bool:
    return bool(one and other and one != other)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
