"""The agent's loop: read etcd, render, reload, check, report, then wait for the next change.

If a pass fails, nginx keeps its configuration, and the next pass tries again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping

from clients.azure.key_vault import Secret
from clients.certificate_store import read_sources
from clients.errors import ClusterError
from clients.etcd import EtcdError, KeyNotFound, Node
from clients.etcd.access import Access, Members
from clients.routers import parse_router
from contract.certificate_source import CertificateSource
from contract.keys import CERTIFICATES, ROUTERS, SERVICES
from contract.router_report import Problem
from router import confd
from router.heartbeat import Heartbeat
from router.nginx import origin_headers, ports
from router.nginx.master import Nginx, NginxError
from router.node_starts import NodeStart, Observation
from router.route_table import Listener, RouteTable, make_route_table
from router.settings import Settings
from router.tls import layout
from router.tls.fetch import Certificates
from router.watcher import Watcher

# The watcher wakes the agent. A pass without a change finds changes that it missed, new versions of
# certificates, and an nginx that has died.
_INTERVAL = 4.0
_INTERVAL_AFTER_FAILURE = 1.0
# Nodes are replaced; and the node's own member of etcd is preferred again after it has recovered.
_LEARN_MEMBERS_EVERY = 30.0
# etcd answers within milliseconds. If it does not, sidekicks may not have reached it either.
_SLOW = 1.0
# One rollout step writes several keys, and every reload costs a generation of workers.
_SETTLE = 0.1
_BETWEEN_RELOADS = 0.5

log = logging.getLogger(__name__)


class NotApplied(Exception):
    """This pass changed nothing on purpose. The text says why."""


class Agent:
    """Keeps nginx's configuration equal to what etcd holds."""

    def __init__(
        self,
        settings: Settings,
        *,
        members: Members,
        sites: Nginx,
        streams: Nginx,
        heartbeat: Heartbeat,
        fetch: Callable[[CertificateSource], Secret],
    ) -> None:
        """`sites` serves HTTP, `streams` TCP and UDP.

        `fetch` asks a vault for a certificate; it raises VaultError.
        """
        self._settings = settings
        self._members = members
        self._etcd = Access(members)
        self._sites = sites
        self._streams = streams
        self._heartbeat = heartbeat
        self._changed = threading.Event()
        self._services = Watcher(Access(members), SERVICES, self._changed)
        self._certificate_keys = Watcher(Access(members), CERTIFICATES, self._changed)
        self._certificates = Certificates(
            settings.certificates, fetch, self._changed, poll=settings.certificate_poll
        )
        self._stops = 0
        self._table = RouteTable()  # what nginx runs
        self._index = 0
        self._reloaded_at = 0.0
        self._etcd_failed_at = float("-inf")
        self._learned_at = float("-inf")

    def stop(self) -> None:
        """Become unhealthy at once, then drain and end. A second call ends the drain.

        A signal handler may call this.
        """
        self._stops += 1
        self._settings.ready_file.unlink(missing_ok=True)
        self._changed.set()

    def run(self) -> None:
        """Work until `stop`, then drain: the load balancer stops sending new clients, while the
        router still serves and applies changes."""
        self._settings.origin_headers.write_text(origin_headers.configuration())
        while not self._stops:
            self._wait(self._pass())
        log.info("draining for %.0f s", self._settings.drain)
        deadline = time.monotonic() + self._settings.drain
        while self._stops == 1 and (left := deadline - time.monotonic()) > 0:
            self._wait(min(left, self._pass()))

    def reconcile(self) -> None:
        """Apply to nginx what etcd holds now.

        Raises NotApplied, EtcdError, confd.RenderError or NginxError. nginx then keeps what it has.
        """
        index, found = self._read()
        problems = (*found.problems, *self._want_certificates(index))
        certificates = self._lay_out_certificates(found)
        confd.render(self._settings, found.services)
        self._load(found, certificates)
        self._certificates.drop_old()
        if found.kept and found.kept != self._table.kept:
            log.info(
                "after an outage of etcd, still serving instances that are not announced yet: %s",
                found.kept,
            )
        self._table = found
        self._index = index
        self._heartbeat.applied(index, problems, found.kept, self._certificates.expired)

    def _pass(self) -> float:
        """Reconcile once. Returns the seconds until the next pass if nothing changes before."""
        try:
            self.reconcile()
        except (NotApplied, EtcdError, confd.RenderError, NginxError) as error:
            log.error("%s", error)
            self._heartbeat.failed(str(error))
            return _INTERVAL_AFTER_FAILURE
        except Exception as error:
            # A bug in the agent must not stop a serving nginx: report it and try again.
            log.exception("this pass failed unexpectedly")
            self._heartbeat.failed(repr(error))
            return _INTERVAL_AFTER_FAILURE
        return min(_INTERVAL, self._patience_left()) if self._table.kept else _INTERVAL

    def _read(self) -> tuple[int, RouteTable]:
        asked = time.monotonic()
        try:
            answer = self._etcd.ask(lambda etcd: etcd.get(SERVICES, recursive=True))
        except KeyNotFound as error:
            self._etcd_failed_at = time.monotonic()
            raise NotApplied(f"etcd has no {SERVICES} (yet)") from error
        except EtcdError:
            self._etcd_failed_at = time.monotonic()
            raise
        answered = time.monotonic()
        # etcd was restored from a backup, or is a new cluster
        is_another = answer.index < self._index
        if is_another or answered - asked > _SLOW:
            self._etcd_failed_at = answered
        if is_another:
            self._index = answer.index
        self._services.read_up_to(answer.index)
        self._learn_members()
        return answer.index, self._table_of(answer.node, asked, answered)

    def _learn_members(self) -> None:
        if time.monotonic() < self._learned_at + _LEARN_MEMBERS_EVERY:
            return
        self._learned_at = time.monotonic()
        self._etcd.ask(self._members.learn)
        self._etcd.prefer_own()

    def _table_of(self, services: Node, asked: float, answered: float) -> RouteTable:
        reports = self._reports()
        before = self._table if self._patience_left() > 0 else None

        def look(taken: Mapping[Listener, str]) -> RouteTable:
            return make_route_table(
                services, taken, reports=reports, before=before, asked=asked, answered=answered
            )

        taken: dict[Listener, str] = {
            ("tcp", port): "the router" for port in self._settings.own_ports
        }
        found = look(taken)
        if busy := ports.in_use(found.open_listeners - self._table.open_listeners):
            found = look(taken | dict.fromkeys(busy, "another program on this node"))
        return found

    def _patience_left(self) -> float:
        """Seconds in which keys that expired during an outage of etcd can still return."""
        return self._etcd_failed_at + self._settings.patience - time.monotonic()

    def _reports(self) -> list[Observation]:
        """The start of its node that each router reports."""
        answer = self._etcd.ask(lambda etcd: etcd.find(ROUTERS, recursive=True))
        observations = []
        for leaf in answer.node.leaves() if answer else ():
            try:
                router = parse_router(leaf)
            except ClusterError as error:
                log.warning("%s", error)
                continue
            start = NodeStart(boot=router.boot, docker=router.docker)
            observations.append(
                Observation(node=router.node, start=start, heard=router.heard, is_report=True)
            )
        return observations

    def _load(self, found: RouteTable, certificates: str) -> None:
        reloaded = self._sites.bring_up_to_date(certificates)
        if found.listeners or self._streams.is_running:
            reloaded |= self._streams.bring_up_to_date()
        if reloaded:
            self._reloaded_at = time.monotonic()
        self._settings.ready_file.touch()
        if self._stops:  # the signal may have come just now
            self._settings.ready_file.unlink(missing_ok=True)

    def _want_certificates(self, index: int) -> list[Problem]:
        """Fetch the certificates that etcd names. Returns what is wrong with them."""
        answer = self._etcd.ask(lambda etcd: etcd.find(CERTIFICATES, recursive=True))
        self._certificate_keys.read_up_to(answer.index if answer else index)
        sources, problems = read_sources(answer.node if answer else None)
        self._certificates.want(sources)
        if not self._sites.is_running:
            self._certificates.settle(self._settings.certificate_patience)
        return problems + self._certificates.problems

    def _lay_out_certificates(self, found: RouteTable) -> str:
        """Store the fetched certificates where the template looks for them. Returns a fingerprint
        of them and of the stack's own certificate."""
        chosen = layout.choose(found.hosts, self._certificates.served)
        others = layout.lay_out(self._settings.certificates, chosen)
        if not self._settings.certificate.is_file():
            return "plain"
        own = hashlib.sha256(self._settings.certificate.read_bytes()).hexdigest()[:16]
        return f"{own}-{others}"

    def _wait(self, seconds: float) -> None:
        if self._changed.wait(seconds):
            self._changed.clear()
            earliest = max(self._reloaded_at + _BETWEEN_RELOADS, time.monotonic() + _SETTLE)
            time.sleep(max(0.0, earliest - time.monotonic()))
