"""Keeps this router's report in etcd, under /routers/<machine-id>.

A rollout stops an old instance only when every router with a report has applied the removal of its
key. So the report must never be ahead of nginx, and must exist as long as nginx serves. Since the
agent can be busy, a separate thread renews it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

from clients.etcd import Etcd, EtcdError, KeyNotFound
from clients.etcd.access import Access
from contract.codec import encode
from contract.keys import ROUTER_TTL, router_key
from contract.router_report import Problem, RouterReport
from router.node_starts import read_node_start

_BEAT = 4.0

log = logging.getLogger(__name__)


class Heartbeat(threading.Thread):
    """Renews the key and keeps its value current until `withdraw`."""

    def __init__(self, etcd: Access, *, machine_id: str, node: str, node_life: Path) -> None:
        """`node_life`: the folder with the ids of the node's start and of docker's."""
        super().__init__(name="heartbeat", daemon=True)
        self._etcd = etcd
        self._key = router_key(machine_id)
        self._node_life = node_life
        self._report = RouterReport(node=node, applied=0, error="starting")
        self._news = threading.Event()
        self._withdrawn = False
        self._written: str | None = None

    def applied(
        self,
        index: int,
        problems: tuple[Problem, ...] = (),
        kept: tuple[str, ...] = (),
        expired: tuple[str, ...] = (),
    ) -> None:
        """nginx runs what etcd held at `index`, except for the keys of `problems`. It also serves
        the instances of the keys in `kept` and the certificates in `expired`."""
        self._report = replace(
            self._report,
            applied=index,
            error=None,
            problems=problems,
            kept=kept,
            expired=expired,
        )
        self._news.set()

    def failed(self, error: str) -> None:
        """nginx still runs its earlier configuration."""
        self._report = replace(self._report, error=error)
        self._news.set()

    def withdraw(self) -> None:
        """Remove the key: rollouts stop waiting for this router."""
        self._withdrawn = True
        self._news.set()
        self.join()
        try:
            self._etcd.ask(lambda etcd: etcd.delete(self._key))
        except KeyNotFound:
            return
        except EtcdError as error:
            log.warning("could not remove %s (TTL %d s): %s", self._key, ROUTER_TTL, error)

    def run(self) -> None:
        while not self._withdrawn:
            try:
                self._etcd.ask(self._beat)
            except EtcdError as error:
                self._written = None
                log.warning("could not write this router's report: %s", error)
            except Exception:
                # Without this thread, rollouts would not wait for a router that still serves.
                self._written = None
                log.exception("could not write this router's report")
            self._news.wait(_BEAT)
            self._news.clear()

    def _beat(self, etcd: Etcd) -> None:
        start = read_node_start(self._node_life)  # docker may have been restarted
        value = encode(replace(self._report, boot=start.boot, docker=start.docker))
        if value == self._written:
            try:
                etcd.refresh(self._key, ROUTER_TTL)
            except KeyNotFound:
                pass  # it expired, for instance while etcd had no leader
            else:
                return
        etcd.set(self._key, value, ttl=ROUTER_TTL)
        self._written = value
