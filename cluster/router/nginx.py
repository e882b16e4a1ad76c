"""The nginx master process: start, reload with proof, quit.

`nginx -s reload` says nothing about success: the master may refuse the configuration and keep the
old workers. A reload counts here only when new workers answer with the new generation and every
worker from before has stopped accepting connections.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from cluster.router import processes

_POLL = 0.02
_START_TIMEOUT = 10.0
_RELOAD_TIMEOUT = 5.0

log = logging.getLogger(__name__)


class NginxError(Exception):
    """nginx does not run the configuration that it should."""


class Nginx:
    """One nginx, run in the foreground as a child of the agent."""

    def __init__(self, *, configuration: Path, health_port: int, retiring_memory: float) -> None:
        """`retiring_memory`: how much, in bytes, workers of earlier configurations may hold."""
        self._configuration = configuration
        self._retiring_memory = retiring_memory
        self._health = httpx.Client(
            base_url=f"http://127.0.0.1:{health_port}",
            trust_env=False,
            verify=False,  # plain HTTP; saves the certificates' memory
            timeout=1.0,
            # A kept-alive connection would go on talking to a worker of the old generation.
            headers={"Connection": "close"},
        )
        self._master: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._master is not None and self._master.poll() is None

    def start(self, generation: str) -> None:
        """Start nginx and wait until it serves `generation`. Raises NginxError."""
        self._master = subprocess.Popen(["nginx", "-c", str(self._configuration)])
        self._wait(lambda: self._serves(generation), _START_TIMEOUT)

    def reload(self, generation: str) -> None:
        """Make nginx read its configuration again and prove that it did. Raises NginxError."""
        master = self._running_master()
        before = self._accepting_workers(master)
        master.send_signal(signal.SIGHUP)
        self._wait(
            lambda: not before & self._accepting_workers(master) and self._serves(generation),
            _RELOAD_TIMEOUT,
        )
        self._limit_retiring_workers(master)

    def quit(self, timeout: float) -> None:
        """Let open requests end, then stop; after `timeout` seconds cut them off."""
        if (master := self._master) is None:
            return
        for stop in (signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL):
            master.send_signal(stop)
            try:
                master.wait(timeout)
            except subprocess.TimeoutExpired:
                timeout = 5.0
            else:
                return

    def _wait(self, reached: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not reached():
            master = self._running_master()
            if time.monotonic() > deadline:
                raise NginxError(
                    f"nginx (pid {master.pid}) did not take its new configuration within "
                    f"{timeout:.0f} s; its own messages above say why"
                )
            time.sleep(_POLL)

    def _serves(self, generation: str) -> bool:
        try:
            answer = self._health.get("/generation")
        except httpx.TransportError:
            return False  # not listening yet, or the worker just left
        return answer.status_code == 200 and answer.text == generation

    def _running_master(self) -> subprocess.Popen[bytes]:
        if self._master is None:
            raise NginxError("nginx was never started")
        if (code := self._master.poll()) is not None:
            raise NginxError(f"nginx ended with exit code {code}; its messages above say why")
        return self._master

    @staticmethod
    def _accepting_workers(master: subprocess.Popen[bytes]) -> frozenset[int]:
        return _titled(master, "nginx: worker process")

    def _limit_retiring_workers(self, master: subprocess.Popen[bytes]) -> None:
        """Every reload may leave workers behind that wait for their WebSockets and calls to end, up
        to worker_shutdown_timeout. They must not fill the memory: the oldest are cut first."""
        retiring = _titled(master, "nginx: worker process is shutting down")
        held = 0
        for worker in sorted(retiring, key=processes.age_rank, reverse=True):
            held += processes.own_memory(worker)
            if held > self._retiring_memory:
                log.warning("cutting the last connections of an old nginx worker (pid %d)", worker)
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(worker, signal.SIGTERM)


def _titled(master: subprocess.Popen[bytes], title: str) -> frozenset[int]:
    return frozenset(
        child for child in processes.children(master.pid) if processes.title(child) == title
    )
