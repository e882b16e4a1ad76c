"""Wakes the agent when etcd changes below a key.

It does not say what changed: the agent reads everything again. If a change is missed here, the
agent's periodic pass finds it.
"""

from __future__ import annotations

import threading
from functools import partial

from clients.etcd import Answer, Etcd, EtcdError
from clients.etcd.access import Access

_LONG_POLL = 60.0
_PAUSE_AFTER_FAILURE = 1.0


class Watcher(threading.Thread):
    """A daemon thread, because it may be in a long poll when the process ends."""

    def __init__(self, etcd: Access, key: str, changed: threading.Event) -> None:
        super().__init__(name=f"watcher of {key}", daemon=True)
        self._etcd = etcd
        self._key = key
        self._changed = changed
        self._seen = 0

    def read_up_to(self, index: int) -> None:
        """Wait for changes after this index, up to which the agent has read everything."""
        self._seen = index
        if self.ident is None:
            self.start()

    def run(self) -> None:
        while True:
            try:
                change = self._etcd.ask(partial(self._wait, after=self._seen))
            except EtcdError:
                # Or the index is too old. The agent reads again and gets a new index, or an error.
                self._changed.set()
                threading.Event().wait(_PAUSE_AFTER_FAILURE)
                continue
            if change is not None:
                self._seen = max(self._seen, change.node.modified_index)
                self._changed.set()

    def _wait(self, etcd: Etcd, after: int) -> Answer | None:
        return etcd.watch(self._key, wait_index=after + 1, recursive=True, timeout=_LONG_POLL)
