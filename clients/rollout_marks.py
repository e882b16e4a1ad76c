"""The keys /rollouts/<service>: the mark of a change that has begun and is not at its end.

A mark holds what the service was before, down to its units, so that any change can be undone until
its mark is gone. Deleting the mark is the one moment at which a change begins to count. A mark
without a lock belongs to a change that failed or was interrupted: `settle` undoes that.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from clients.clock import Clock, timestamp
from clients.etcd import CompareFailed, Etcd, EtcdUnavailable, KeyNotFound
from clients.etcd.lock import LockLost
from clients.fleet import Option
from clients.service_store import LedgerEntry
from cluster.rollout.observed import View
from cluster.rollout.reconcile import Target
from cluster.rollout.release import Release
from contract.keys import ROLLOUTS, mark_key

Verb = Literal["apply", "remove"]
# For the one request whose outcome must be known: etcd may be without a leader for that long.
_COMMIT_PATIENCE = 300.0
_PAUSE = 1.0


@dataclass(kw_only=True, frozen=True)
class Before:
    """The release that was finished last, as it was."""

    service: str
    entry: LedgerEntry
    app: tuple[Option, ...] = ()
    announce: tuple[Option, ...] = ()

    @property
    def target(self) -> Target:
        return Target(
            service=self.service,
            release=self.entry.release,
            instances=self.entry.instances,
            route=self.entry.route,
        )

    @property
    def release(self) -> Release | None:
        """What its units say, if fleet still had them when the change began."""
        if not self.app or not self.announce:
            return None
        return Release(
            service=self.service,
            id=self.entry.release,
            image=self.entry.image,
            digest=self.entry.digest,
            app=self.app,
            announce=self.announce,
        )


class Unfinished:
    """The mark of one service. Hold the service's lock."""

    def __init__(self, etcd: Etcd, service: str, clock: Clock) -> None:
        self._etcd = etcd
        self._service = service
        self._key = mark_key(service)
        self._clock = clock
        self._index = 0  # of our mark; another one's differs
        self._is_in_place: Callable[[], bool] | None = None

    def exists(self) -> bool:
        return self._etcd.find(self._key) is not None

    def begin(self, verb: Verb, view: View) -> Before | None:
        """Leave a mark. Returns what a failure goes back to; None if nothing was ever finished.

        A change that was interrupted before this one has left the service half-way: what was
        before that one still counts.
        """
        found = self._etcd.find(self._key)
        before = self._before(_object(found.node.value) if found else {}, view)
        value = self._value(verb, before, timestamp(self._clock))
        self._index = self._etcd.set(self._key, value).node.modified_index
        return before

    def take_over(self, view: View) -> tuple[bool, Before | None]:
        """Make another's mark ours, so that it can't count any more. Returns whether there was one,
        and what to go back to."""
        found = self._etcd.find(self._key)
        if found is None:
            return False, None
        raw = _object(found.node.value)
        before = self._before(raw, view)
        verb: Verb = "remove" if raw.get("verb") == "remove" else "apply"
        value = self._value(verb, before, str(raw.get("since", "")))
        try:
            answer = self._etcd.set(self._key, value, prev_index=found.node.modified_index)
        except (CompareFailed, KeyNotFound):
            return False, None  # it has come to its end meanwhile
        self._index = answer.node.modified_index
        return True, before

    def end(self, is_in_place: Callable[[], bool]) -> None:
        """Delete our mark: from here on the change counts. `is_in_place` tells whether everything
        that it wrote is there. Raises LockLost if another took the change over."""
        self._is_in_place = is_in_place
        deadline = self._clock.now() + _COMMIT_PATIENCE
        while True:
            try:
                self._etcd.delete(self._key, prev_index=self._index)
                return
            except KeyNotFound:
                if is_in_place():
                    return  # it was us, and the answer was lost
                raise self._lost() from None
            except CompareFailed:
                raise self._lost() from None
            except EtcdUnavailable:
                if self._clock.now() >= deadline:
                    raise
                self._clock.sleep(_PAUSE)

    def has_counted(self) -> bool:
        """For an interruption that came with the end: whether it came too late."""
        return self._is_in_place is not None and not self.exists() and self._is_in_place()

    def clear(self) -> None:
        """Delete a mark that nothing is left of."""
        try:
            self._etcd.delete(self._key)
        except KeyNotFound:
            return

    def _before(self, mark: Mapping[str, Any], view: View) -> Before | None:
        """What a mark says, or what is finished now if it does not say it."""
        before = mark.get("before", {})
        if before is None:
            return None
        try:
            return Before(
                service=self._service,
                entry=LedgerEntry(**before["entry"]),
                app=_options(before["app"]),
                announce=_options(before["announce"]),
            )
        except (KeyError, TypeError):
            return before_of(self._service, view)

    def _lost(self) -> LockLost:
        return LockLost(
            f"{self._service}: this took so long that the cluster has undone it meanwhile; "
            "run it again"
        )

    def _value(self, verb: Verb, before: Before | None, since: str) -> str:
        value = {
            "verb": verb,
            "since": since,
            "id": uuid.uuid4().hex,
            "before": None
            if before is None
            else {
                "entry": asdict(before.entry),
                "app": [asdict(option) for option in before.app],
                "announce": [asdict(option) for option in before.announce],
            },
        }
        return json.dumps(value, sort_keys=True)


def before_of(service: str, view: View) -> Before | None:
    """What is finished now, by the ledger."""
    current = view.record.current
    if not current:
        return None
    instances = [one for one in view.instances.values() if one.id.release == current]
    entry = view.record.ledger.get(current) or LedgerEntry(
        release=current,
        image="",
        digest="",
        instances=max(1, sum(one.is_launched for one in instances)),
        route=view.record.route or "",
        started="",
    )
    whole = next((one for one in instances if one.app and one.announce), None)
    return Before(
        service=service,
        entry=LedgerEntry(**(asdict(entry) | {"outcome": "serving"})),
        app=whole.app.options if whole and whole.app else (),
        announce=whole.announce.options if whole and whole.announce else (),
    )


def unfinished_services(etcd: Etcd) -> list[str]:
    """The services that have a mark, the latest first: one that has been in trouble for long must
    not hold up the others."""
    found = etcd.find(ROLLOUTS, recursive=True)
    nodes = found.node.nodes if found else ()
    since = {node.name: str(_object(node.value).get("since", "")) for node in nodes}
    return sorted(since, key=lambda name: since[name], reverse=True)


def _options(raw: Sequence[dict[str, str]]) -> tuple[Option, ...]:
    return tuple(Option(**line) for line in raw)


def _object(text: str) -> dict[str, Any]:
    """What a mark says; nothing if it can't be understood, which must not keep others waiting."""
    try:
        raw = json.loads(text)
    except ValueError:
        return {}
    return raw if isinstance(raw, dict) else {}
