"""Which instances a router may send to: those that are announced, and those that it keeps.

Keys expire while etcd is away, although their instances are fine. So one that vanished then is kept
for a while; but never at an address that may belong to another by now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from clients.etcd import Node
from contract.codec import Malformed, decode
from contract.instance import Instance, number_of
from contract.router_report import Problem
from router.lives import Life, Lives, Sighting

# The members' clocks may differ: etcd may let a key expire this much before its time.
_CLOCKS = 3.0
_NEVER = float("inf")


@dataclass(kw_only=True, frozen=True)
class Announced:
    """An instance, by what its key said when it was read last."""

    key: str
    service: str
    name: str  # <release>-<n>
    since: int  # etcd's index when it was announced: the order in which instances came
    heard: int  # and when it was renewed last
    lasts: float  # until then etcd does not let it expire, by the router's clock
    instance: Instance

    @property
    def number(self) -> int:
        return number_of(self.name)

    @property
    def sighting(self) -> Sighting:
        """What it tells of its node."""
        return Sighting(node=self.instance.node, life=self.life, heard=self.heard, is_report=False)

    @property
    def life(self) -> Life:
        """The start of its node and of docker at which it was announced."""
        return Life(boot=self.instance.boot, docker=self.instance.docker)


def read_announced(services: Node, asked: float) -> tuple[dict[str, Announced], list[Problem]]:
    """All that are announced below /services, by key, and why the others can't be understood.

    `asked`: when etcd was asked, by the router's clock.
    """
    announced: dict[str, Announced] = {}
    problems = []
    for service in services.nodes:
        for node in _keys_of_instances(service):
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
    announced: Iterable[Announced], lives: Lives
) -> tuple[dict[str, Announced], list[Problem]]:
    """Those that may be sent to, by key, and why not the others.

    A node that has started again runs none of those from before. And an address that is announced
    twice belongs to who came last: the other one's node lost it, and its clients must not reach
    another service's instance until its key expires.
    """
    problems = []
    present: dict[str, Announced] = {}
    last: dict[tuple[str, str], Announced] = {}
    for one in sorted(announced, key=lambda one: one.since):
        if lives.is_of_another_boot(one.instance.node, one.life):
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
    lives: Lives,
    answered: float,
) -> Iterator[Announced]:
    """Those of `before` whose keys are gone, maybe because etcd was away.

    `read`: the keys that etcd has now, whatever they hold. `answered`: when it said so, by the
    router's clock.
    """
    claimed = {
        endpoint
        for one in announced.values()
        if not lives.is_of_another_boot(one.instance.node, one.life)
        for endpoint in one.instance.endpoints
    }
    for key, one in before.items():
        was_withdrawn = answered < one.lasts  # too early for its key to have expired
        if (
            key not in read
            and not was_withdrawn
            and not one.instance.endpoints & claimed
            and not lives.has_ended(one.instance.node, one.life)
        ):
            yield one


def waiting(instances: Iterable[Announced]) -> frozenset[str]:
    """The keys of those that get no TCP and UDP yet: while two releases run side by side, a number
    belongs to the one that has it longer, and its clients stay as long as it lives."""
    holders: dict[int, Announced] = {}
    for one in sorted(instances, key=lambda one: one.since):
        holders.setdefault(one.number, one)
    return frozenset(one.key for one in instances if holders[one.number] is not one)


def _keys_of_instances(service: Node) -> tuple[Node, ...]:
    return next((child.nodes for child in service.nodes if child.name == "instances"), ())
