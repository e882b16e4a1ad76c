"""Reads and writes the keys /rollouts/<service>: the marks of unfinished changes.

A mark holds the service's previous state, units included, so a change can be undone as long as its
mark exists. Deleting the mark is the moment from which the change counts. A mark without a lock
belongs to a change that failed or was interrupted; the verb `settle` undoes it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from clients.clock import Clock, timestamp
from clients.etcd import CompareFailed, Etcd, EtcdUnavailable, KeyNotFound, Node
from clients.etcd.lock import LockLost
from clients.waiting import retry
from contract.codec import Malformed, decode, encode
from contract.keys import ROLLOUTS, mark_key
from contract.rollout_mark import Before, Mark, Verb

# For the request whose outcome must be known: etcd may have no leader for that long.
_COMMIT_PATIENCE = 300.0


class RolloutMark:
    """The mark of one service. Hold the service's lock."""

    def __init__(self, etcd: Etcd, service: str, clock: Clock) -> None:
        self._etcd = etcd
        self._service = service
        self._key = mark_key(service)
        self._clock = clock
        self._index = 0  # of the mark that this program wrote
        self._is_in_place: Callable[[], bool] | None = None

    def exists(self) -> bool:
        return self._etcd.find(self._key) is not None

    def begin(self, verb: Verb, finished: Before | None) -> Before | None:
        """Write a mark. Returns what a failure goes back to: `finished`, which is what the service
        is now, or what it was before an earlier change that was interrupted."""
        found = self._etcd.find(self._key)
        before = _read(found.node, finished).before if found else finished
        mark = Mark(verb=verb, since=timestamp(self._clock), id=uuid.uuid4().hex, before=before)
        self._index = self._etcd.set(self._key, encode(mark)).node.modified_index
        return before

    def take_over(self, finished: Before | None) -> Mark | None:
        """Replace the mark of another program, whose change can't count from then on. None if
        there is none (any more)."""
        found = self._etcd.find(self._key)
        if found is None:
            return None
        mark = replace(_read(found.node, finished), id=uuid.uuid4().hex)
        try:
            answer = self._etcd.set(self._key, encode(mark), prev_index=found.node.modified_index)
        except (CompareFailed, KeyNotFound):
            return None
        self._index = answer.node.modified_index
        return mark

    def commit(self, is_in_place: Callable[[], bool]) -> None:
        """Delete the mark: the change counts from here. `is_in_place` tells whether etcd holds
        everything that the change wrote. Raises LockLost if another program took it over."""
        self._is_in_place = is_in_place
        try:
            retry(
                lambda: self._etcd.delete(self._key, prev_index=self._index),
                on=EtcdUnavailable,
                patience=_COMMIT_PATIENCE,
                clock=self._clock,
            )
        except KeyNotFound:
            # this program deleted it if the change is in place: only the answer was lost
            if not is_in_place():
                raise self._lost() from None
        except CompareFailed:
            raise self._lost() from None

    def is_committed(self) -> bool:
        """Whether the change counts, for an interruption in the middle of `commit`."""
        return self._is_in_place is not None and not self.exists() and self._is_in_place()

    def clear(self) -> None:
        """Delete the mark of a service of which nothing is left."""
        try:
            self._etcd.delete(self._key)
        except KeyNotFound:
            return

    def _lost(self) -> LockLost:
        return LockLost(
            f"{self._service}: this took so long that the cluster has undone it meanwhile; "
            "run it again"
        )


def unfinished_services(etcd: Etcd) -> list[str]:
    """The services that have a mark, the latest first: one that has been in trouble for long must
    not hold up the others."""
    found = etcd.find(ROLLOUTS, recursive=True)
    since = {node.name: _read(node, None).since for node in (found.node.nodes if found else ())}
    return sorted(since, key=lambda name: since[name], reverse=True)


def _read(node: Node, finished: Before | None) -> Mark:
    """An unreadable mark is treated as a mark of the current finished state."""
    try:
        return decode(Mark, node.value)
    except Malformed:
        return Mark(verb="apply", since="", id="", before=finished)
