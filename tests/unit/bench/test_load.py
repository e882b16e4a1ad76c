"""wrk asks a server, and what it measured is read."""

from __future__ import annotations

import time

import pytest

from bench.load import full_load, stream
from tests.unit.bench.site import Site
from tools.progress import StepFailed


def test_a_full_load_counts_the_answers_on_the_given_number_of_connections(site: Site) -> None:
    load = full_load("a load", f"{site.url}/", host="a.example", connections=4, seconds=1)

    assert 0 < load.requests <= site.requests
    assert load.failed == 0
    assert len(site.connections) <= 5  # wrk tries the address first
    assert site.hosts == {"a.example"}
    assert 0 < load.p50 <= load.p99
    assert load.per_second > 0


@pytest.mark.parametrize("path", ["/busy", None])
def test_a_load_without_a_good_answer_is_no_measurement(site: Site, path: str | None) -> None:
    url = f"{site.url}{path}" if path else "http://127.0.0.1:9/"

    with pytest.raises(StepFailed):
        full_load("a load", url, host="a.example", connections=1, seconds=1)


def test_a_stream_opens_a_connection_for_every_request_and_keeps_its_pace(site: Site) -> None:
    with stream("a stream", f"{site.url}/", per_second=50) as running:
        time.sleep(1)
        load = running.stop()

    assert load.failed == 0
    assert 0 < load.requests <= site.requests <= 60
    assert site.requests <= len(site.connections)


def test_failed_requests_of_a_stream_are_counted_by_kind(site: Site) -> None:
    with stream("a stream", f"{site.url}/sometimes", per_second=100) as running:
        time.sleep(1)
        load = running.stop()

    assert 0 < load.failed < load.requests
    assert running.errors == f"{load.failed} status"


def test_a_stream_ends_with_its_block() -> None:
    with stream("a stream", "http://127.0.0.1:9/", per_second=50) as running:
        pass

    assert running._wrk.poll() is not None
