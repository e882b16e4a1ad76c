"""Fetches the certificates that etcd names, in a separate thread, and keeps the last good ones.

If a vault is slow, refuses or has a wrong value, the router serves the certificate from before, and
`problems` says why. Private keys are stored on a tmpfs only.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clients.azure.key_vault import Secret, VaultError
from contract.certificate_source import CertificateSource
from contract.keys import certificate_key
from contract.router_report import Problem
from router.tls.check import BadCertificate, examine

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 30.0

log = logging.getLogger(__name__)


@dataclass(kw_only=True, frozen=True)
class Certificate:
    """A certificate that can be served."""

    source: CertificateSource
    version: str
    hosts: tuple[str, ...]
    expires: float  # in seconds since 1970
    file: Path

    @property
    def has_expired(self) -> bool:
        return self.expires < time.time()


@dataclass(kw_only=True)
class _FetchJob:
    """The state of fetching one certificate."""

    source: CertificateSource
    due: float | None = 0.0  # when to ask the vault next; None: never
    pause: float = _FIRST_PAUSE
    problem: str = ""
    was_tried: bool = False


class Certificates(threading.Thread):
    """The certificates of this router. The agent calls all methods except `run`."""

    def __init__(
        self,
        folder: Path,
        fetch: Callable[[CertificateSource], Secret],
        changed: threading.Event,
        *,
        poll: float,
    ) -> None:
        """`fetch` raises VaultError. `poll` is how often to look for a new version, in seconds."""
        super().__init__(name="certificates", daemon=True)
        self._folder = folder
        self._fetch = fetch
        self._changed = changed
        self._poll = poll
        self._jobs: dict[str, _FetchJob] = {}
        self._served: dict[str, Certificate] = {}
        self._stale: set[Path] = set()  # files that nginx may still read
        self._news = threading.Condition()

    def want(self, sources: Mapping[str, CertificateSource]) -> None:
        """Fetch these certificates, and drop all others."""
        with self._news:
            for name in self._jobs.keys() - sources.keys():
                del self._jobs[name]
            for name in self._served.keys() - sources.keys():
                self._stale.add(self._served.pop(name).file)
            for name, source in sources.items():
                job = self._jobs.get(name)
                if job is None or job.source != source:
                    self._jobs[name] = _FetchJob(source=source)
            self._news.notify_all()
        if self.ident is None:
            self.start()

    def settle(self, timeout: float) -> None:
        """Wait until the vault was asked for every certificate at least once."""
        with self._news:
            self._news.wait_for(lambda: all(job.was_tried for job in self._jobs.values()), timeout)

    def drop_old(self) -> None:
        """Delete the files that nginx no longer uses after a reload."""
        with self._news:
            for file in self._stale - {certificate.file for certificate in self._served.values()}:
                file.unlink(missing_ok=True)
            self._stale.clear()

    @property
    def served(self) -> dict[str, Certificate]:
        """The certificates that can be served, by name."""
        with self._news:
            return dict(self._served)

    @property
    def problems(self) -> list[Problem]:
        """Why certificates are missing or old, and which are served although they have expired.

        A certificate that is still being fetched is a problem, too: otherwise a program that waits
        for it would see success.
        """
        with self._news:
            found = [
                (name, job.problem if job.was_tried else "is being fetched")
                for name, job in self._jobs.items()
            ]
            found += [
                (name, f"version {one.version} has expired; it is served on")
                for name, one in self._served.items()
                if one.has_expired
            ]
        return [
            Problem(key=certificate_key(name), reason=reason)
            for name, reason in sorted(found)
            if reason
        ]

    @property
    def expired(self) -> tuple[str, ...]:
        """The certificates whose only problem is that they have expired, by name."""
        with self._news:
            right = {name for name, one in self._jobs.items() if one.was_tried and not one.problem}
            expired = {name for name, one in self._served.items() if one.has_expired}
            return tuple(sorted(right & expired))

    def run(self) -> None:
        while True:
            name, job = self._next()
            try:
                certificate = self._certificate(name, job.source)
                problem = ""
            except (VaultError, BadCertificate, OSError) as error:
                certificate, problem = None, str(error)
            except Exception as error:
                # Without this thread, no certificate would change any more.
                log.exception("certificate %s", name)
                certificate, problem = None, repr(error)
            self._done(name, job, certificate, problem)

    def _next(self) -> tuple[str, _FetchJob]:
        """The job that is due first, when it is due."""
        with self._news:
            while True:
                due = {name: one.due for name, one in self._jobs.items() if one.due is not None}
                if not due:
                    self._news.wait()
                    continue
                name = min(due, key=lambda name: due[name])
                left = due[name] - time.monotonic()
                if left <= 0:
                    return name, self._jobs[name]
                self._news.wait(left)

    def _certificate(self, name: str, source: CertificateSource) -> Certificate:
        secret = self._fetch(source)
        before = self._served.get(name)
        if before and before.source == source and before.version == secret.version:
            return before
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        staged = self._folder / f"{name}.new"
        staged.unlink(missing_ok=True)
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret.value)
        try:
            leaf = examine(staged)
            # Browsers refuse an expired certificate, but they refuse the stack's own, too.
            if leaf.expires < time.time() and before and before.expires > leaf.expires:
                raise BadCertificate("certificate has expired")
        except BadCertificate as error:
            staged.unlink()
            raise BadCertificate(f"version {secret.version} of {source}: {error}") from error
        # new content gets a new file: nginx may be reading the old one
        digest = hashlib.sha256(secret.value.encode()).hexdigest()
        path = self._folder / f"{name}-{digest[:12]}.pem"
        staged.rename(path)
        return Certificate(
            source=source,
            version=secret.version,
            hosts=source.hosts or leaf.hosts,
            expires=leaf.expires,
            file=path,
        )

    def _done(
        self, name: str, job: _FetchJob, certificate: Certificate | None, problem: str
    ) -> None:
        with self._news:
            is_first, job.was_tried = not job.was_tried, True
            before = self._served.get(name)
            if problem:
                if before:
                    problem += f"; version {before.version} is served on"
                if problem != job.problem:
                    log.warning("certificate %s: %s", name, problem)
                job.due = time.monotonic() + job.pause
                job.pause = min(2 * job.pause, _LONGEST_PAUSE)
            else:
                job.due = time.monotonic() + self._poll
                job.pause = _FIRST_PAUSE
                if not job.source.may_change:
                    job.due = None
            is_news = is_first or problem != job.problem
            job.problem = problem
            if certificate and certificate != before:
                if self._jobs.get(name) is job:
                    log.info("certificate %s: version %s", name, certificate.version)
                    self._served[name] = certificate
                    self._stale.update({before.file} if before else ())
                    is_news = True
                else:
                    self._stale.add(certificate.file)  # it is not wanted any more
            self._news.notify_all()
        if is_news:
            self._changed.set()
