"""One instance more and one less by changing `instances` and running `make up`."""

from __future__ import annotations

from collections.abc import Iterator

from bench.phases import between
from bench.report.results import Figure, Result
from bench.session import Session
from lab.scratch_stack import hello

LIMIT = 10.0
"""Seconds on the cluster; an unchanged `make up` comes on top."""
TIMES = 2
BEGAN, ENDED = r"hello-rollout updating", r"hello-rollout updated"


def measure(session: Session) -> Iterator[Result]:
    more, less, rollouts = [], [], []
    for _ in range(TIMES):
        session.stack.configure(hello(instances=3))
        run = session.make("up", "scale-up")
        more.append(run.seconds)
        rollouts.append(between(run.lines, BEGAN, ENDED) or 0.0)
        session.stack.configure()
        less.append(session.make("up", "scale-down").seconds)
    yield Figure(
        title="scale step up, 2 to 3 instances",
        unit="s",
        samples=tuple(more),
        baselines=(session.baselines.container,),
        note="the whole make up, until every router serves the new instance",
    )
    yield Figure(
        title="of that, the rollout on the cluster",
        unit="s",
        samples=tuple(rollouts),
        limit=LIMIT,
        baselines=(session.baselines.container,),
    )
    yield Figure(
        title="scale step down, 3 to 2 instances",
        unit="s",
        samples=tuple(less),
        note="with the drain time of the config (10 s unless changed)",
    )
