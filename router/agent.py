"""The agent's one loop: read etcd, render, reload, verify, announce; then wait for the next change.

Whatever goes wrong, nginx goes on with the configuration it has, and the next pass tries again.
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
from router.heartbeat import Announcement
from router.lives import Life, Sighting
from router.nginx import origin_headers, ports
from router.nginx.master import Nginx, NginxError
from router.route_table import Listener, Survey, survey
from router.settings import Settings
from router.tls import layout
from router.tls.fetch import Certificates
from router.watcher import Watcher

# Changes are found by the watcher; this pass finds what it missed, new certificates, a dead nginx.
_INTERVAL = 4.0
_INTERVAL_AFTER_FAILURE = 1.0
# Nodes are replaced; and the own member of etcd, once well again, is to be asked again.
_LEARN_MEMBERS_EVERY = 30.0
# etcd answers within milliseconds. When it doesn't, sidekicks may not have reached it either.
_SLOW = 1.0
# One rollout step writes several keys, and every reload costs a generation of workers.
_SETTLE = 0.1
_BETWEEN_RELOADS = 0.5

log = logging.getLogger(__name__)


class NotApplied(Exception):
    """This pass changed nothing, on purpose; the text says why."""


class Agent:
    """Keeps nginx in line with etcd."""

    def __init__(
        self,
        settings: Settings,
        *,
        members: Members,
        sites: Nginx,
        streams: Nginx,
        announcement: Announcement,
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
        self._announcement = announcement
        self._changed = threading.Event()
        self._services = Watcher(Access(members), SERVICES, self._changed)
        self._certificate_keys = Watcher(Access(members), CERTIFICATES, self._changed)
        self._certificates = Certificates(
            settings.certificates, fetch, self._changed, poll=settings.certificate_poll
        )
        self._stops = 0
        self._survey = Survey()  # what nginx runs
        self._index = 0
        self._reloaded_at = 0.0
        self._etcd_failed_at = float("-inf")
        self._learned_at = float("-inf")

    def stop(self) -> None:
        """Unhealthy at once; `run` drains and ends. A second call cuts the drain short.

        Safe in a signal handler.
        """
        self._stops += 1
        self._settings.ready_file.unlink(missing_ok=True)
        self._changed.set()

    def run(self) -> None:
        """Work until `stop`, then drain: the load balancer sends nobody new, but who comes is
        served, and changes are still applied."""
        self._settings.origin_headers.write_text(origin_headers.configuration())
        while not self._stops:
            self._wait(self._pass())
        log.info("draining for %.0f s", self._settings.drain)
        deadline = time.monotonic() + self._settings.drain
        while self._stops == 1 and (left := deadline - time.monotonic()) > 0:
            self._wait(min(left, self._pass()))

    def reconcile(self) -> None:
        """Bring nginx in line with what etcd holds now.

        Raises NotApplied, EtcdError, confd.RenderError or NginxError; nginx then runs what it ran.
        """
        index, found = self._read()
        problems = (*found.problems, *self._want_certificates(index))
        certificates = self._lay_out_certificates(found)
        confd.render(self._settings, found.services)
        self._load(found, certificates)
        self._certificates.drop_old()
        if found.kept and found.kept != self._survey.kept:
            log.info("etcd was away: kept until they are announced again: %s", found.kept)
        self._survey = found
        self._index = index
        self._announcement.applied(index, problems, found.kept, self._certificates.expired)

    def _pass(self) -> float:
        """One reconciliation. Returns the seconds after which to try again without a change."""
        try:
            self.reconcile()
        except (NotApplied, EtcdError, confd.RenderError, NginxError) as error:
            log.error("%s", error)
            self._announcement.failed(str(error))
            return _INTERVAL_AFTER_FAILURE
        except Exception as error:
            # A mistake in the agent must not end an nginx that serves: told, and tried again.
            log.exception("this pass failed unexpectedly")
            self._announcement.failed(repr(error))
            return _INTERVAL_AFTER_FAILURE
        return min(_INTERVAL, self._patience_left()) if self._survey.kept else _INTERVAL

    def _read(self) -> tuple[int, Survey]:
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
        # another etcd than before: restored from a backup, or a new cluster
        is_another = answer.index < self._index
        if is_another or answered - asked > _SLOW:
            self._etcd_failed_at = answered
        if is_another:
            self._index = answer.index
        self._services.read_up_to(answer.index)
        self._learn_members()
        return answer.index, self._survey_of(answer.node, asked, answered)

    def _learn_members(self) -> None:
        if time.monotonic() < self._learned_at + _LEARN_MEMBERS_EVERY:
            return
        self._learned_at = time.monotonic()
        self._etcd.ask(self._members.learn)
        self._etcd.prefer_own()

    def _survey_of(self, services: Node, asked: float, answered: float) -> Survey:
        reports = self._reports()
        before = self._survey if self._patience_left() > 0 else None

        def look(taken: Mapping[Listener, str]) -> Survey:
            return survey(
                services, taken, reports=reports, before=before, asked=asked, answered=answered
            )

        taken: dict[Listener, str] = {
            ("tcp", port): "the router" for port in self._settings.own_ports
        }
        found = look(taken)
        if busy := ports.in_use(found.open_listeners - self._survey.open_listeners):
            found = look(taken | dict.fromkeys(busy, "another program on this node"))
        return found

    def _patience_left(self) -> float:
        """Keys expire while etcd is away, although their instances are fine. So long, in seconds,
        they have still time to come back."""
        return self._etcd_failed_at + self._settings.patience - time.monotonic()

    def _reports(self) -> list[Sighting]:
        """Which start of its node each router tells."""
        answer = self._etcd.ask(lambda etcd: etcd.find(ROUTERS, recursive=True))
        sightings = []
        for leaf in answer.node.leaves() if answer else ():
            try:
                router = parse_router(leaf)
            except ClusterError as error:
                log.warning("%s", error)
                continue
            life = Life(boot=router.boot, docker=router.docker)
            sightings.append(
                Sighting(node=router.node, life=life, heard=router.heard, is_report=True)
            )
        return sightings

    def _load(self, found: Survey, certificates: str) -> None:
        reloaded = self._sites.bring_up_to_date(certificates)
        if found.listeners or self._streams.is_running:
            reloaded |= self._streams.bring_up_to_date()
        if reloaded:
            self._reloaded_at = time.monotonic()
        self._settings.ready_file.touch()
        if self._stops:  # also if the signal came just now
            self._settings.ready_file.unlink(missing_ok=True)

    def _want_certificates(self, index: int) -> list[Problem]:
        """Have those fetched that etcd names. Returns what is wrong with any."""
        answer = self._etcd.ask(lambda etcd: etcd.find(CERTIFICATES, recursive=True))
        self._certificate_keys.read_up_to(answer.index if answer else index)
        sources, problems = read_sources(answer.node if answer else None)
        self._certificates.want(sources)
        if not self._sites.is_running:
            self._certificates.settle(self._settings.certificate_patience)
        return problems + self._certificates.problems

    def _lay_out_certificates(self, found: Survey) -> str:
        """Put what has been fetched where the template looks for it. Returns a fingerprint of it
        and of the stack's own certificate."""
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
