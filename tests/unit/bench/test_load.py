"""The stream is steady, and what became of it is counted."""

from __future__ import annotations

import time

from bench.load import Answers, stream, summary
from tests.eventually import eventually
from tests.unit.bench.site import Site


def test_a_stream_opens_a_connection_for_every_request_at_its_pace(site: Site) -> None:
    with stream(f"{site.url}/", per_second=50) as answers:
        time.sleep(0.5)

    assert answers.failures == []
    assert len(site.connections) == site.requests == len(answers.milliseconds)
    assert site.requests <= 30


def test_an_answer_other_than_200_and_none_at_all_are_failures(site: Site) -> None:
    with stream(f"{site.url}/busy", per_second=50) as busy:
        eventually(lambda: busy.failures, what="an answer")
    with stream("http://127.0.0.1:9/", per_second=50) as refused:
        eventually(lambda: refused.failures, what="a refusal")

    assert (busy.milliseconds, refused.milliseconds) == ([], [])
    assert busy.failures[0] == "status 503"


def test_the_pace_counts_answers_only() -> None:
    answers = Answers(milliseconds=[1.0, 2.0, 3.0], failures=["status 503"])

    load = summary("a load", answers, 2.0)

    assert (load.requests, load.failed, load.per_second, load.p50) == (4, 1, 1.5, 2.0)
