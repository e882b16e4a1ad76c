"""`make up` from nothing: no lab, no stack, but everything built that can be built beforehand."""

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
        references=(session.references.boot,),
        note="tools and images cached, the Docker daemon runs; three nodes, two app instances",
    )
    yield Breakdown(
        title="Where make up from nothing spends its time",
        remark="Each phase begins where the one before ends.",
        unit="s",
        parts=phases(run.lines, run.seconds),
    )
