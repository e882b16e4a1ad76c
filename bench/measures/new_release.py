"""A new release of the app while requests come in: how long it takes, and who sees an error."""

from __future__ import annotations

from collections.abc import Iterator

from bench.load import stream, summary
from bench.phases import between
from bench.report.results import Figure, Result
from bench.session import Session
from lab.pulumi import push_images
from lab.scratch_stack import hello
from tools.progress import StepFailed

IMAGE = "example-app:bench"
PER_SECOND = 50.0
BEGAN, ENDED = r"hello-rollout updating", r"hello-rollout updated"


def measure(session: Session) -> Iterator[Result]:
    stack = session.stack
    url = f"http://{stack.public_ip}/json"
    stack.configure(hello(image=IMAGE))
    try:
        with stream(url, per_second=PER_SECOND) as answers:
            run = session.make("up", "new-release")
    finally:
        push_images.forget(session.client, IMAGE)  # it was only for us
    rollout = between(run.lines, BEGAN, ENDED)
    if rollout is None:
        raise StepFailed(
            "Measuring a rollout",
            why="make up did not say that it updated the service",
            advice="Compare its log with the patterns of bench/measures/new_release.py.",
        )
    yield Figure(
        title="new release of 2 instances, on the cluster",
        unit="s",
        samples=(rollout,),
        references=(session.references.container,),
        note=f"of {run.seconds:.0f} s for make up with building and pushing the image; each old "
        "instance is drained first (10 s unless configured)",
    )
    load = summary("during the rollout: 50 new connections/s", answers, run.seconds)
    yield load
    yield Figure(
        title="failed requests during the rollout",
        unit=f"of {load.requests:,}",
        samples=(float(load.failed),),
        note=", ".join(sorted(set(answers.failures))[:5]),
    )
