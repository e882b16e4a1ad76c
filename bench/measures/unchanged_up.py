"""`make up` without a change, compared with the least that the Pulumi engine does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.report.results import Baseline, Figure, Result
from bench.running import run
from bench.session import Session
from lab.machine import docker_daemon
from lab.machine.endpoints import find
from lab.pulumi.engine import environment
from tools.paths import PROJECT

LIMIT = 15.0
TIMES = 3


def measure(session: Session) -> Iterator[Result]:
    samples = [session.make("up", "unchanged-up").seconds for _ in range(TIMES)]
    yield Figure(
        title="make up without a change",
        unit="s",
        samples=tuple(samples),
        limit=LIMIT,
        baselines=(_empty_preview(session.folder), _version(session.folder)),
    )


def _empty_preview(folder: Path) -> Baseline:
    """The engine, its Python host and the SDK's import, for an empty program."""
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as project:
        virtualenv = PROJECT / ".venv"
        Path(project, "__main__.py").write_text("")
        Path(project, "Pulumi.yaml").write_text(
            "name: empty\n"
            "runtime:\n"
            "  name: python\n"
            f"  options: {{toolchain: pip, virtualenv: {virtualenv}}}\n"
        )
        env = _environment() | {"PULUMI_BACKEND_URL": f"file://{project}"}
        log = folder / "empty-preview.log"

        def pulumi(*arguments: str) -> float:
            command = ["pulumi", *arguments, "--non-interactive"]
            return run(command, log=log, env=env, cwd=Path(project)).seconds

        pulumi("stack", "init", "empty")
        samples = [pulumi("preview", "--stack", "empty") for _ in range(TIMES)]
    return Baseline(title="pulumi preview of an empty Python program", value=median(samples))


def _version(folder: Path) -> Baseline:
    log, env = folder / "version.log", _environment()
    samples = [run(["pulumi", "version"], log=log, env=env).seconds for _ in range(TIMES)]
    return Baseline(title="pulumi version", value=median(samples))


def _environment() -> dict[str, str]:
    return environment(find(docker_daemon.ensure()))
