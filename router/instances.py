"""The instances that a router may send requests to: announced ones, and kept ones.

Keys also expire when etcd is away, although their instances are fine. A router keeps such an
instance for some seconds, but never at an address that may belong to another instance by then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from clients.etcd import Node
from contract.codec import Malformed, decode
from contract.instance import Instance, number_of
from contract.router_report import Problem
from router.node_starts import CurrentStarts, NodeStart, Observation

# The members' clocks may differ: etcd may expire a key this much before its time.
_CLOCKS = 3.0
_NEVER = float("inf")


@dataclass(kw_only=True, frozen=True)
class Announced:
    """An instance and its key, as last read."""

    key: str
    service: str
    name: str  # <release>-<n>
    since: int  # etcd's index when the key was created: the order in which instances came
    heard: int  # etcd's index when the key was last renewed
    lasts: float  # etcd does not expire the key before this time of the router's clock
    instance: Instance

    @property
    def number(self) -> int:
        return number_of(self.name)

    @property
    def start(self) -> NodeStart:
        """The start of its node and of docker at which it was announced."""
        return NodeStart(boot=self.instance.boot, docker=self.instance.docker)

    @property
    def observation(self) -> Observation:
        """What its key says about its node."""
        return Observation(
            node=self.instance.node, start=self.start, heard=self.heard, is_report=False
        )


def read_announced(services: Node, asked: float) -> tuple[dict[str, Announced], list[Problem]]:
    """Every announced instance below /services, by key, and the problems of other keys.

    `asked`: when the router sent its request to etcd, by the router's clock.
    """
    announced: dict[str, Announced] = {}
    problems = []
    for service in services.nodes:
        for node in _instance_nodes(service):
            try:
                number_of(node.name)
                announced[node.key] = Announced(
                    key=node.key,
                    service=service.name,
                    name=node.name,
                    since=node.created_index,
                    heard=node.modified_index,
                    lasts=_NEVER if node.ttl is None else asked + node.ttl - _CLOCKS,
                    instance=decode(Instance, node.value),
                )
            except Malformed as error:
                problems.append(Problem(key=node.key, reason=str(error)))
    return announced, problems


def usable(
    announced: Iterable[Announced], starts: CurrentStarts
) -> tuple[dict[str, Announced], list[Problem]]:
    """The instances that may get requests, by key, and why others may not.

    A restarted node runs none of its old instances. An address that two keys name belongs to the
    later one: the node has given it away, and clients of the first must not reach the second.
    """
    problems = []
    present: dict[str, Announced] = {}
    last: dict[tuple[str, str], Announced] = {}
    for one in sorted(announced, key=lambda one: one.since):
        if starts.is_of_another_boot(one.instance.node, one.start):
            reason = f"{one.instance.node} has started again since it was announced"
            problems.append(Problem(key=one.key, reason=reason))
            continue
        present[one.key] = one
        last |= dict.fromkeys(one.instance.endpoints, one)
    for key, one in list(present.items()):
        for endpoint in sorted(one.instance.endpoints):
            if last[endpoint] is not one:
                del present[key]
                reason = f"{endpoint[1]} belongs to {last[endpoint].key} by now"
                problems.append(Problem(key=key, reason=reason))
                break
    return present, sorted(problems, key=lambda one: one.key)


def kept(
    before: Mapping[str, Announced],
    announced: Mapping[str, Announced],
    read: Collection[str],
    starts: CurrentStarts,
    answered: float,
) -> Iterator[Announced]:
    """The instances of `before` whose keys may have expired only because etcd was away.

    `read`: every key that etcd has now, also malformed ones. `answered`: when etcd answered, by the
    router's clock.
    """
    claimed = {
        endpoint
        for one in announced.values()
        if not starts.is_of_another_boot(one.instance.node, one.start)
        for endpoint in one.instance.endpoints
    }
    for key, one in before.items():
        was_withdrawn = answered < one.lasts  # too early for its key to have expired
        if (
            key not in read
            and not was_withdrawn
            and not one.instance.endpoints & claimed
            and not starts.has_ended(one.instance.node, one.start)
        ):
            yield one


def waiting(instances: Iterable[Announced]) -> frozenset[str]:
    """The keys of a service's instances that get no TCP and UDP yet.

    While two releases run side by side, a number belongs to the instance that has had it longer.
    Its clients stay with it for as long as it lives.
    """
    holders: dict[int, Announced] = {}
    for one in sorted(instances, key=lambda one: one.since):
        holders.setdefault(one.number, one)
    return frozenset(one.key for one in instances if holders[one.number] is not one)


def _instance_nodes(service: Node) -> tuple[Node, ...]:
    return next((child.nodes for child in service.nodes if child.name == "instances"), ())
