"""What a first `make up` on an empty machine does before anything else: fetch and build.

Measured with caches of its own in a temporary folder, and a Docker daemon of its own, so that
nothing of the user's is used or touched. Needs root for that daemon.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.report.results import Figure, Reference, Result
from bench.running import run
from tools.paths import PROJECT
from tools.programs import PROGRAMS
from tools.progress import StepFailed, step

LIMIT = 1200.0
PATIENCE = 60.0


def measure(folder: Path) -> Iterator[Result]:
    """Virtual environment, programs, images; one after the other, as `make up` does it."""
    with tempfile.TemporaryDirectory(prefix="fleet-bench-", ignore_cleanup_errors=True) as scratch:
        root = Path(scratch)
        env = {
            **os.environ,
            "XDG_CACHE_HOME": str(root / "cache"),
            "GOCACHE": str(root / "go-build"),
            "GOMODCACHE": str(root / "go-modules"),
        }
        try:
            yield from _steps(root, env, folder)
        finally:
            _make_writable(root / "go-modules")


def _steps(root: Path, env: Mapping[str, str], folder: Path) -> Iterator[Result]:
    def seconds(what: str, *command: str | Path, **more: str) -> float:
        with step(what):
            return run(command, log=folder / "cold.log", env={**env, **more}).seconds

    python = root / "venv" / "bin" / "python"
    packages = seconds("Making a virtual environment", sys.executable, "-m", "venv", root / "venv")
    packages += seconds(
        "Installing Python packages",
        *(python, "-m", "pip", "install", "--disable-pip-version-check"),
        *("-r", PROJECT / "requirements-dev.txt"),
    )
    programs = seconds("Building programs", python, "-m", "tools", "programs")
    one = seconds(
        "Building one of them again", python, "-m", "tools", "programs", "etcd", **_no_cache(root)
    )
    with _docker_daemon(root, folder / "dockerd.log") as host:
        images = seconds(
            "Building images",
            *(python, "-m", "tools", "image"),
            *("node", "cloud", "azurite", "cluster", "registry", "router", "example-app"),
            DOCKER_HOST=host,
        )
        bundle = seconds("Packing artefacts", python, "-m", "tools", "artefacts", DOCKER_HOST=host)
    yield Figure(
        title="what a first make up builds",
        unit="s",
        samples=(packages + programs + images + bundle,),
        limit=LIMIT,
        references=(Reference(title="building etcd alone, its modules fetched", value=one),),
        note="add one make up from nothing; depends on the network",
    )
    for title, value in (
        ("of that, Python packages", packages),
        (f"of that, {len(PROGRAMS)} Go modules", programs),
        ("of that, images", images),
        ("of that, what nodes fetch", bundle),
    ):
        yield Figure(title=title, unit="s", samples=(value,))


def _no_cache(root: Path) -> dict[str, str]:
    """An environment in which everything is built anew, but nothing is downloaded."""
    return {"XDG_CACHE_HOME": str(root / "cache-2"), "GOCACHE": str(root / "go-build-2")}


@contextmanager
def _docker_daemon(root: Path, log: Path) -> Iterator[str]:
    """A daemon with nothing in it and no part of the machine's network; yields its address."""
    if os.geteuid() != 0:
        raise StepFailed(
            "Building images from nothing",
            why="it needs a Docker daemon of its own, which only root can start",
            advice="Run it as root.",
        )
    address = f"unix://{root / 'docker.sock'}"
    command = [
        *("dockerd", "--host", address, "--pidfile", str(root / "docker.pid")),
        *("--data-root", str(root / "docker"), "--exec-root", str(root / "docker-run")),
        *("--bridge=none", "--iptables=false", "--ip-masq=false"),
    ]
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        _wait_for(daemon, address, log)
        yield address
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def _wait_for(daemon: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while subprocess.run(["docker", "--host", address, "info"], capture_output=True).returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise StepFailed(
                "Starting a Docker daemon for the measurement",
                why="it does not answer",
                advice="Mend what the log says.",
                log=log,
            )
        time.sleep(0.2)


def _make_writable(modules: Path) -> None:
    """Go keeps its modules read-only, so that nobody but root could remove them."""
    if modules.exists() and shutil.which("chmod"):
        subprocess.run(["chmod", "-R", "u+w", str(modules)], check=True)
