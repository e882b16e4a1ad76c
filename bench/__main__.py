"""`python -m bench [--cold] [--only NAME…]`: measure, and write a report."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType

import httpx
from docker.errors import DockerException

from bench import baselines, cold_start, machine
from bench.measures import (
    customers,
    first_up,
    idle_memory,
    new_release,
    requests,
    router_reaction,
    scale_step,
    small_units,
    unchanged_up,
)
from bench.report import table
from bench.report.results import Report, Result
from bench.session import Session, own_stack, refuse_company
from clients.errors import ClusterError
from lab.machine import docker_daemon
from tools import build
from tools.paths import PROJECT
from tools.progress import StepFailed, step

RESULTS = PROJECT / "bench" / "results"
MEASURES: dict[str, Callable[[Session], Iterator[Result]]] = {
    "unchanged-up": unchanged_up.measure,
    "idle-memory": idle_memory.measure,
    "scale-step": scale_step.measure,
    "small-units": small_units.measure,
    "requests": requests.measure,
    "router-reaction": router_reaction.measure,
    "new-release": new_release.measure,
    "customers": customers.measure,
}
"""The measurements of the running stack, in this order: the last two leave other units behind."""
PROBLEMS = (StepFailed, ClusterError, DockerException, httpx.HTTPError, OSError)
"""Failures of one measurement, after which the next one runs."""


def main(arguments: list[str]) -> int:
    """Measure; return 0 if every measurement worked."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    folder = RESULTS / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    folder.mkdir(parents=True)
    try:
        report = _cold(folder) if options.cold else _warm(folder, options.only or list(MEASURES))
    except (StepFailed, DockerException) as failure:
        print(f"\n✗ {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The stack of the benchmarks is down.", file=sys.stderr)
        return 130
    _write(report, folder)
    print(table.render(report))
    print(f"The report: {folder}")
    return 1 if report.trouble else 0


def _warm(folder: Path, names: list[str]) -> Report:
    """The benchmarks of the lab, with all programs and images built before."""
    refuse_company()
    trouble = list(machine.disturbance())
    client = docker_daemon.ensure()
    _build_everything()
    results: list[Result] = []
    with own_stack(folder) as stack:
        with step("measuring the baselines"):
            simple = baselines.measure(client)
        session = Session(stack=stack, client=client, baselines=simple, folder=folder)
        with step("measuring first-up"):
            results += first_up.measure(session)
        for name in names:
            try:
                with step(f"measuring {name}"):
                    results += MEASURES[name](session)
            except PROBLEMS as problem:
                trouble.append(f"{name} failed: {problem!r}")
                print(problem, file=sys.stderr)
        with step("measuring make down"):
            results += first_up.measure_down(session)
    return Report(machine=machine.describe(), results=tuple(results), trouble=tuple(trouble))


def _cold(folder: Path) -> Report:
    """The benchmark of an empty machine."""
    trouble = machine.disturbance()
    results = tuple(cold_start.measure(folder))
    return Report(machine=machine.describe(), results=results, trouble=trouble)


def _build_everything() -> None:
    build.ensure_artefacts()
    for name in ("node", "cloud", "azurite", "registry", "cloud-runtime", "example-app"):
        build.ensure_image(name)
    for name in ("pulumi", "pulumi-language-python"):
        build.ensure_program(name)


def _write(report: Report, folder: Path) -> None:
    (folder / "report.txt").write_text(table.render(report))
    (folder / "report.json").write_text(json.dumps(dataclasses.asdict(report), indent=2) + "\n")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--cold",
        action="store_true",
        help="measure what a first `make up` on an empty machine fetches and builds, nothing else",
    )
    parser.add_argument(
        "--only", nargs="+", choices=MEASURES, metavar="NAME", help=f"any of {', '.join(MEASURES)}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
