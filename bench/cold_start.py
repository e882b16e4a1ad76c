"""What a first `make up` on an empty machine fetches and builds.

It has its own caches in a temporary folder and its own Docker daemon, so it neither uses nor
changes the user's. The daemon needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.report.results import Baseline, Figure, Result
from bench.running import run
from lab.machine.waiting import comes_true
from tools.paths import PROJECT
from tools.programs import PROGRAMS
from tools.progress import StepFailed, step

LIMIT = 1200.0
PATIENCE = 60.0


def measure(folder: Path) -> Iterator[Result]:
    """Virtual environment, programs, images, one after the other as in `make up`."""
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
        baselines=(Baseline(title="building etcd alone, its modules fetched", value=one),),
        note="comes before a make up from nothing; depends on the network",
    )
    for title, value in (
        ("of that, Python packages", packages),
        (f"of that, {len(PROGRAMS)} Go modules", programs),
        ("of that, images", images),
        ("of that, what nodes fetch", bundle),
    ):
        yield Figure(title=title, unit="s", samples=(value,))


def _no_cache(root: Path) -> dict[str, str]:
    """An environment in which everything is built again, but nothing is downloaded."""
    return {"XDG_CACHE_HOME": str(root / "cache-2"), "GOCACHE": str(root / "go-build-2")}


@contextmanager
def _docker_daemon(root: Path, log: Path) -> Iterator[str]:
    """An empty daemon that leaves the machine's network alone; yields its address."""
    if os.geteuid() != 0:
        raise StepFailed(
            "Building images from nothing",
            why="the measurement starts its own Docker daemon, and only root can do that",
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
    def answers() -> bool:
        info = subprocess.run(["docker", "--host", address, "info"], capture_output=True)
        return info.returncode == 0

    comes_true(lambda: daemon.poll() is not None or answers(), patience=PATIENCE)
    if not answers():
        raise StepFailed(
            "Starting a Docker daemon for the measurement",
            why="it does not answer",
            advice="Fix what the log reports.",
            log=log,
        )


def _make_writable(modules: Path) -> None:
    """Go makes its modules read-only: without this only root could remove them."""
    if modules.exists() and shutil.which("chmod"):
        subprocess.run(["chmod", "-R", "u+w", str(modules)], check=True)
