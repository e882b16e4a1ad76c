"""The keys /rollouts/<service>: a rollout that has begun and is not yet at its end.

Whoever begins writes one, and takes it away when the service is as it was asked for, or again as it
was before. One without a lock belongs to a rollout that was interrupted: `settle` takes it back.
"""

from __future__ import annotations

import json
from typing import Literal

from cluster.clock import Clock, timestamp
from cluster.etcd import Etcd, KeyNotFound

ROLLOUTS = "/rollouts"
Verb = Literal["apply", "remove"]


class Unfinished:
    """The mark of one service."""

    def __init__(self, etcd: Etcd, service: str, clock: Clock) -> None:
        self._etcd = etcd
        self._key = f"{ROLLOUTS}/{service}"
        self._clock = clock

    def write(self, verb: Verb) -> None:
        value = {"verb": verb, "since": timestamp(self._clock)}
        self._etcd.set(self._key, json.dumps(value, sort_keys=True))

    def read(self) -> Verb | None:
        """What was begun; None if nothing is unfinished."""
        found = self._etcd.find(self._key)
        if found is None:
            return None
        return "remove" if json.loads(found.node.value).get("verb") == "remove" else "apply"

    def clear(self) -> None:
        try:
            self._etcd.delete(self._key)
        except KeyNotFound:
            return


def unfinished_services(etcd: Etcd) -> list[str]:
    """The services whose rollouts have not come to an end."""
    found = etcd.find(ROLLOUTS, recursive=True)
    return [node.name for node in found.node.nodes] if found else []
