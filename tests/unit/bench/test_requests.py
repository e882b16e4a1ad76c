"""The router is judged by its share of what bare nginx does in the same round."""

from __future__ import annotations

import pytest

from bench.measures.requests import ROUNDS, compared
from bench.report.results import Latency


def load(per_second: float, p99: float = 1.0) -> Latency:
    return Latency(title="", p50=1, p99=p99, requests=1, failed=0, per_second=per_second)


def test_a_round_that_was_slow_for_both_changes_nothing() -> None:
    rounds = [(load(1000), load(900))] * (ROUNDS - 1) + [(load(100), load(90))]

    *_, share = compared(rounds, load(5000))

    assert share.value == pytest.approx(1000 / 900)
    assert share.limit is not None
    assert share.value <= share.limit


def test_the_router_is_shown_beside_bare_nginx_and_a_back_end() -> None:
    requests, slowest, _ = compared([(load(1000, 2.0), load(500, 6.0))] * ROUNDS, load(5000))

    assert [one.value for one in requests.baselines] == [1000, 5000]
    assert (requests.value, slowest.value, slowest.baselines[0].value) == (500, 6.0, 2.0)
