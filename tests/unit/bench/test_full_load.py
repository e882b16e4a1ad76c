"""wrk loads a server, and what it found is read."""

from __future__ import annotations

import pytest

from bench.full_load import full_load
from tests.unit.bench.site import Site
from tools.progress import StepFailed


def test_a_full_load_counts_what_was_answered_on_as_many_connections_as_asked_for(
    site: Site,
) -> None:
    load = full_load("a load", f"{site.url}/", host="a.example", connections=4, seconds=1)

    assert 0 < load.requests <= site.requests
    assert load.failed == 0
    assert len(site.connections) <= 5  # wrk tries the address first
    assert site.hosts == {"a.example"}
    assert 0 < load.p50 <= load.p99
    assert load.per_second > 0


@pytest.mark.parametrize("path", ["/busy", None])
def test_a_load_with_wrong_answers_is_not_a_measurement(site: Site, path: str | None) -> None:
    url = f"{site.url}{path}" if path else "http://127.0.0.1:9/"

    with pytest.raises(StepFailed):
        full_load("a load", url, host="a.example", connections=1, seconds=1)
