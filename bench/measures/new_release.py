"""A new release of the app under a stream of requests: how long it takes, how many fail."""

from __future__ import annotations

from collections.abc import Iterator

from bench.load import stream
from bench.phases import between
from bench.report.results import Figure, Result
from bench.session import Session
from lab.pulumi import push_images
from lab.scratch_stack import hello
from tools.progress import StepFailed

IMAGE = "example-app:bench"
PER_SECOND = 50.0
TITLE = f"during the rollout: {PER_SECOND:.0f} new connections/s"
BEGAN, ENDED = r"hello-rollout updating", r"hello-rollout updated"


def measure(session: Session) -> Iterator[Result]:
    stack = session.stack
    url = f"http://{stack.public_ip}/json"
    stack.configure(hello(image=IMAGE))
    try:
        with stream(TITLE, url, per_second=PER_SECOND) as requests:
            run = session.make("up", "new-release")
            load = requests.stop()
    finally:
        push_images.forget(session.client, IMAGE)  # only this measurement used it
    rollout = between(run.lines, BEGAN, ENDED)
    if rollout is None:
        raise StepFailed(
            "Measuring a rollout",
            why="make up printed no line about the service's update",
            advice="Compare its log with the patterns of bench/measures/new_release.py.",
        )
    yield Figure(
        title="new release of 2 instances, on the cluster",
        unit="s",
        samples=(rollout,),
        baselines=(session.baselines.container,),
        note=f"of {run.seconds:.0f} s for make up with building and pushing the image; each old "
        "instance is drained first (10 s unless configured)",
    )
    yield load
    yield Figure(
        title="failed requests during the rollout",
        unit=f"of {load.requests:,}",
        samples=(float(load.failed),),
        note=requests.errors,
    )
