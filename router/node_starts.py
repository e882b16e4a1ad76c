"""The current start of each node and of its docker.

After a restart of a node or of its docker, its old addresses are void. Both starts have ids
(/run/node-life on the node), which routers' reports and instances' keys carry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(kw_only=True, frozen=True)
class NodeStart:
    """The ids of one start of a node and of its docker. Empty: unknown."""

    boot: str = ""
    docker: str = ""


@dataclass(kw_only=True, frozen=True)
class Observation:
    """The start of a node that a report or an instance's key names."""

    node: str
    start: NodeStart
    heard: int  # etcd's index when the key was last written or renewed
    is_report: bool  # a report is current at every beat; a key has the ids of when it was written


@dataclass(kw_only=True, frozen=True)
class CurrentStarts:
    """The current ids by node. There can be several of docker as long as no report names one."""

    boots: Mapping[str, str]
    dockers: Mapping[str, frozenset[str]]

    def is_of_another_boot(self, node: str, start: NodeStart) -> bool:
        """Whether the node has restarted since. False if an id is unknown."""
        return _differs(start.boot, self.boots.get(node))

    def has_ended(self, node: str, start: NodeStart) -> bool:
        """Whether the node or its docker has restarted since. False if an id is unknown."""
        return self.is_of_another_boot(node, start) or any(
            _differs(start.docker, docker) for docker in self.dockers.get(node, ())
        )


def current_starts(observations: Iterable[Observation]) -> CurrentStarts:
    """The current start of each node. If there are two boots, the one observed last counts."""
    by_node = defaultdict(list)
    for observation in sorted(observations, key=lambda one: one.heard):
        by_node[observation.node].append(observation)
    boots, dockers = {}, {}
    for node, observed in by_node.items():
        boots[node] = next((one.start.boot for one in reversed(observed) if one.start.boot), "")
        present = [one for one in observed if one.start.boot == boots[node]]
        reports = [one for one in present if one.is_report]
        dockers[node] = frozenset(one.start.docker for one in reports[-1:] or present)
    return CurrentStarts(boots=boots, dockers=dockers)


def read_node_start(folder: Path) -> NodeStart:
    """The ids of this node, from the files that it keeps them in."""
    return NodeStart(boot=_text(folder / "boot"), docker=_text(folder / "docker"))


def _differs(one: str, other: str | None) -> bool:
    return bool(one and other and one != other)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
