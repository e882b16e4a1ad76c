"""Tells the cluster, under /routers/<machine-id>, how far this router has come.

A rollout stops an old instance only when every announced router has applied the key's removal, so
the announcement must never run ahead of nginx, and must stay while nginx serves, even when the
agent is busy: hence a thread of its own.
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
from router.lives import read_life

_BEAT = 4.0

log = logging.getLogger(__name__)


class Announcement(threading.Thread):
    """Keeps the key alive and its value current until `withdraw`."""

    def __init__(self, etcd: Access, *, machine_id: str, node: str, node_life: Path) -> None:
        """`node_life`: the folder in which the node says which start of it this is."""
        super().__init__(name="announcement", daemon=True)
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
        """nginx still runs what it ran before."""
        self._report = replace(self._report, error=error)
        self._news.set()

    def withdraw(self) -> None:
        """Take the key away: nobody has to wait for this router any more."""
        self._withdrawn = True
        self._news.set()
        self.join()
        try:
            self._etcd.ask(lambda etcd: etcd.delete(self._key))
        except KeyNotFound:
            return
        except EtcdError as error:
            log.warning("could not remove %s, it expires in %d s: %s", self._key, ROUTER_TTL, error)

    def run(self) -> None:
        while not self._withdrawn:
            try:
                self._etcd.ask(self._beat)
            except EtcdError as error:
                self._written = None
                log.warning("could not announce this router: %s", error)
            except Exception:
                # Without this thread no rollout would wait for a router that goes on serving.
                self._written = None
                log.exception("could not announce this router")
            self._news.wait(_BEAT)
            self._news.clear()

    def _beat(self, etcd: Etcd) -> None:
        life = read_life(self._node_life)  # docker may have been started again
        value = encode(replace(self._report, boot=life.boot, docker=life.docker))
        if value == self._written:
            try:
                etcd.refresh(self._key, ROUTER_TTL)
            except KeyNotFound:
                pass  # it expired, for instance while etcd had no leader
            else:
                return
        etcd.set(self._key, value, ttl=ROUTER_TTL)
        self._written = value
