"""`make down`: everything is destroyed, and the lab with it."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.results import Figure, Result
from bench.session import Session


def measure(session: Session) -> Iterator[Result]:
    run = session.make("down", "down")
    yield Figure(title="make down", unit="s", samples=(run.seconds,))
