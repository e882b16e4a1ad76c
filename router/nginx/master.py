"""An nginx master process: start, reload with proof, quit. The router has two of them.

`nginx -s reload` does not report success: the master may refuse the configuration and keep its
workers. So a reload has succeeded only when workers answer with the new generation and no worker
from before accepts connections.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx

from router.nginx import processes

_POLL = 0.02
_START_TIMEOUT = 10.0
_RELOAD_TIMEOUT = 5.0

log = logging.getLogger(__name__)


class NginxError(Exception):
    """nginx does not run the configuration that it should."""


class Nginx:
    """One nginx, run in the foreground as a child of the agent.

    A generation is a hash of a configuration. The configuration includes it from a file
    (`set $generation "…";`), and the workers answer with it on request.
    """

    def __init__(
        self,
        name: str,
        *,
        run_dir: Path,
        ask: Callable[[], str | None],
        retiring_memory: float,
    ) -> None:
        """`ask` gets the generation from the workers; None while no worker answers.

        `retiring_memory`: the bytes that workers of earlier configurations may use.
        """
        self._name = name
        self._configuration = run_dir / f"{name}.conf"
        self._proof = run_dir / f"{name}.generation"
        self._ask = ask
        self._retiring_memory = retiring_memory
        self._master: subprocess.Popen[bytes] | None = None
        self._loaded = ""  # the generation that runs
        self._write_proof("none")  # nginx -t reads it before the first generation

    @property
    def is_running(self) -> bool:
        return self._master is not None and self._master.poll() is None

    def bring_up_to_date(self, beside: str = "") -> bool:
        """Run the configuration on disk. Returns whether that needed a reload.

        `beside` changes with the files that the configuration refers to. Raises NginxError.
        """
        content = self._configuration.read_bytes() + beside.encode()
        generation = hashlib.sha256(content).hexdigest()[:16]
        if self.is_running and generation == self._loaded:
            return False
        self._write_proof(generation)
        was_running = self.is_running
        log.info("%s nginx (%s)", "reloading" if was_running else "starting", self._name)
        if was_running:
            self._reload(generation)
        else:
            self._start(generation)
        self._loaded = generation
        return was_running

    def _write_proof(self, generation: str) -> None:
        self._proof.write_text(f'set $generation "{generation}";\n')

    def _start(self, generation: str) -> None:
        self._clear_away()
        self._master = subprocess.Popen(
            ["nginx", "-c", str(self._configuration)], start_new_session=True
        )
        self._wait(lambda: self._ask() == generation, _START_TIMEOUT)

    def _clear_away(self) -> None:
        """Remove what a killed master leaves behind: its workers and its socket hold the ports. The
        agent is the container's first process, so it is the workers' parent by then."""
        self._configuration.with_suffix(".sock").unlink(missing_ok=True)
        if self._master is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._master.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-self._master.pid, 0)

    def _reload(self, generation: str) -> None:
        master = self._running_master()
        before = self._accepting_workers(master)
        master.send_signal(signal.SIGHUP)
        self._wait(
            lambda: not before & self._accepting_workers(master) and self._ask() == generation,
            _RELOAD_TIMEOUT,
        )
        self._limit_retiring_workers(master)

    def _wait(self, reached: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not reached():
            master = self._running_master()
            if time.monotonic() > deadline:
                raise NginxError(
                    f"nginx ({self._name}, pid {master.pid}) did not take its new configuration "
                    f"within {timeout:.0f} s; its messages above say why"
                )
            time.sleep(_POLL)

    def _running_master(self) -> subprocess.Popen[bytes]:
        if self._master is None:
            raise NginxError(f"nginx ({self._name}) was never started")
        if (code := self._master.poll()) is not None:
            raise NginxError(
                f"nginx ({self._name}) ended with exit code {code}; its messages above say why"
            )
        return self._master

    @staticmethod
    def _accepting_workers(master: subprocess.Popen[bytes]) -> frozenset[int]:
        return _titled(master, "nginx: worker process")

    def _limit_retiring_workers(self, master: subprocess.Popen[bytes]) -> None:
        """End the oldest workers of earlier configurations when all of them use too much memory.
        After a reload they stay for their WebSockets and calls, up to worker_shutdown_timeout."""
        retiring = _titled(master, "nginx: worker process is shutting down")
        held = 0
        for worker in sorted(retiring, key=processes.age_rank, reverse=True):
            held += processes.own_memory(worker)
            if held > self._retiring_memory:
                log.warning("cutting the last connections of an old nginx worker (pid %d)", worker)
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(worker, signal.SIGTERM)


def quit_all(running: Iterable[Nginx], timeout: float) -> None:
    """Let open requests and calls end, for at most `timeout` seconds, then stop."""
    masters = [nginx._master for nginx in running if nginx._master is not None]
    for stop in (signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL):
        for master in masters:
            master.send_signal(stop)
        deadline = time.monotonic() + timeout
        for master in masters:
            with contextlib.suppress(subprocess.TimeoutExpired):
                master.wait(max(0.0, deadline - time.monotonic()))
        timeout = 5.0


def ask_http(port: int) -> Callable[[], str | None]:
    """A function that asks the sites' nginx for its generation, on its health port."""
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        trust_env=False,
        verify=False,  # plain HTTP: loading certificates would cost memory
        timeout=1.0,
        # A kept-alive connection would stay with a worker of the old generation.
        headers={"Connection": "close"},
    )

    def ask() -> str | None:
        try:
            answer = client.get("/generation")
        except httpx.TransportError:
            return None  # it does not listen yet, or the worker has just ended
        return answer.text if answer.status_code == 200 else None

    return ask


def ask_stream(path: Path) -> Callable[[], str | None]:
    """A function that asks the nginx of TCP and UDP services for its generation."""

    def ask() -> str | None:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(1.0)
            client.connect(str(path))
            return client.recv(100).decode() or None
        return None

    return ask


def _titled(master: subprocess.Popen[bytes], title: str) -> frozenset[int]:
    return frozenset(
        child for child in processes.children(master.pid) if processes.title(child) == title
    )
