"""The order that holds for a service, or for the platform: `/orders/<name>`. The latest one wins.

Whoever asked for a rollout may be long gone while its program still runs, or is only about to
start. So each writes its order here before anything else, and one that finds a later one stops
where it is; the later one takes up what it finds.
"""

from __future__ import annotations

from types import TracebackType

from cluster.clock import Clock
from cluster.errors import ClusterError
from cluster.etcd import CompareFailed, Etcd, KeyNotFound

ORDERS = "/orders"
_REMOVAL = "removal"


class Superseded(ClusterError):
    """Another order holds now: stop at once, change nothing more."""


class Order:
    """One order, of which the text is the time: 2026-01-31T12:00:00.123456789Z. `with order:` it
    holds; one that was given by hand only as long."""

    def __init__(self, etcd: Etcd, name: str, text: str, *, by_hand: bool) -> None:
        self._etcd = etcd
        self._name = name
        self._key = f"{ORDERS}/{name}"
        self._text = text
        self._by_hand = by_hand

    def __enter__(self) -> Order:
        """Raises Superseded if a later one holds."""
        holds = self._read()
        # after a removal that was interrupted, the service may be asked for again as it was before
        if holds is not None and holds != _REMOVAL and holds > self._text:
            raise self._superseded(holds)
        self._etcd.set(self._key, self._text)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._by_hand:
            # else it would outlive what it was for, and hold up Pulumi's own
            self._delete()

    def check(self) -> None:
        """Raises Superseded."""
        holds = self._read()
        if holds != self._text:
            raise self._superseded(holds)

    def _delete(self) -> None:
        try:
            self._etcd.delete(self._key, prev_value=self._text)
        except (KeyNotFound, CompareFailed):
            return

    def _read(self) -> str | None:
        found = self._etcd.find(self._key)
        return found.node.value if found else None

    def _superseded(self, by: str | None) -> Superseded:
        return Superseded(
            f"another order for {self._name} holds now ({by or 'it was removed'}); this one "
            f"({self._text}) stops where it is"
        )


def placed(etcd: Etcd, name: str, text: str | None, clock: Clock) -> Order:
    """The order with this text; without one, an order that somebody gives by hand now."""
    given = text or clock.date().strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    return Order(etcd, name, given, by_hand=text is None)


def removal(etcd: Etcd, name: str) -> Order:
    """Later than any order before it, and earlier than any after it. Nothing is left of it."""
    return Order(etcd, name, _REMOVAL, by_hand=True)
