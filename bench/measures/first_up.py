"""`make up` from nothing, with all programs and images built before; and `make down`."""

from __future__ import annotations

from collections.abc import Iterator

from bench.phases import phases
from bench.report.results import Breakdown, Figure, Result
from bench.session import Session

LIMIT = 120.0


def measure(session: Session) -> Iterator[Result]:
    run = session.make("up", "first-up")
    yield Figure(
        title="make up from nothing",
        unit="s",
        samples=(run.seconds,),
        limit=LIMIT,
        baselines=(session.baselines.boot,),
        note="programs and images built, Docker daemon running; three nodes, two app instances",
    )
    yield Breakdown(
        title="Where make up from nothing spends its time",
        remark="Each phase begins where the one before ends.",
        unit="s",
        parts=phases(run.lines, run.seconds),
    )


def measure_down(session: Session) -> Iterator[Result]:
    run = session.make("down", "down")
    yield Figure(title="make down", unit="s", samples=(run.seconds,))
