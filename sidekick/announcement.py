"""The keys of one instance in etcd: where it answers, or why it is not announced.

/services/<name>/instances/<release>-<n>   expires 15 s after it was renewed last
/services/<name>/failures/<release>-<n>    expires after 60 s
"""

from __future__ import annotations

import time
from dataclasses import replace

from clients.etcd import CompareFailed, EtcdUnavailable, KeyNotFound
from clients.etcd.access import Access
from contract.codec import Malformed, decode, encode
from contract.failure import FailureNote
from contract.instance import Instance
from contract.keys import FAILURE_TTL, INSTANCE_TTL

RENEW_EVERY = 3.5
"""Seconds between renewals at the least: each is a write on every member of etcd."""


class Announcement:
    """What etcd holds about an instance, as far as this sidekick wrote it. Errors of etcd are
    raised (EtcdError): the next check tries again, and routers keep what they have meanwhile."""

    def __init__(self, etcd: Access, *, key: str, failure_key: str) -> None:
        self._etcd = etcd
        self._key = key
        self._failure_key = failure_key
        self._renewed = 0.0
        self.value: str | None = None  # of the key; None: it is not there

    def adopt(self, value: str) -> None:
        """Continue with the previous announcer's key, if its value is the same."""
        found = self._etcd.ask(lambda etcd: etcd.find(self._key))
        if found is not None and _is_same(found.node.value, value):
            self.value = found.node.value

    def assume(self, value: str) -> None:
        """Take the key to be there: etcd could not be asked."""
        self.value = self.value or value

    def keep(self, value: str) -> bool:
        """Write the key if it is new or changed, else renew it, which wakes no watcher.
        True if the instance was not announced with this value before."""
        now = time.monotonic()
        is_fresh = now - self._renewed < RENEW_EVERY
        if self.value == value and (is_fresh or self._renew(value)):
            return False
        is_news = self.value != value
        self._write(value)
        self.value, self._renewed = value, now
        self._forget_failure()
        return is_news

    def withdraw(self) -> int | None:
        """Remove the key if it is ours: the same instance may have been started on another node.
        Returns etcd's index of that; None if it was another's."""
        value, self.value = self.value, None
        if value is None:
            return None
        try:
            gone = self._etcd.ask(lambda etcd: etcd.delete(self._key, prev_value=value))
        except KeyNotFound as error:
            return error.index
        except CompareFailed:
            return None
        return gone.node.modified_index

    def report(self, *, node: str, reason: str, log: str) -> None:
        """Say why the instance is not announced."""
        note = encode(FailureNote(node=node, reason=reason, log=log))
        self._etcd.ask(lambda etcd: etcd.set(self._failure_key, note, ttl=FAILURE_TTL))

    def _renew(self, value: str) -> bool:
        """False if the key is gone, or another's."""
        try:
            self._etcd.ask(lambda etcd: etcd.refresh(self._key, INSTANCE_TTL, prev_value=value))
        except (KeyNotFound, CompareFailed):
            return False
        self._renewed = time.monotonic()
        return True

    def _write(self, value: str) -> None:
        """With the value from before as a condition the key keeps its age (etcd's createdIndex):
        of two releases, routers leave callers to the one that was announced first."""
        before = self.value
        if before is not None:
            try:
                self._etcd.ask(
                    lambda etcd: etcd.set(self._key, value, ttl=INSTANCE_TTL, prev_value=before)
                )
                return
            except (KeyNotFound, CompareFailed):
                pass
        self._set(value, None)

    def _set(self, value: str, before: str | None) -> None:
        self._etcd.ask(lambda etcd: etcd.set(self._key, value, ttl=INSTANCE_TTL, prev_value=before))

    def _forget_failure(self) -> None:
        try:
            self._etcd.ask(lambda etcd: etcd.delete(self._failure_key))
        except EtcdUnavailable:
            return  # it expires
        except KeyNotFound:
            return


def _is_same(one: str, other: str) -> bool:
    """Whether two values differ at most in docker's start: containers live through that."""
    try:
        instances = [replace(decode(Instance, text), docker="") for text in (one, other)]
    except Malformed:
        return False
    return instances[0] == instances[1]
