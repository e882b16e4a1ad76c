"""Where `make up` spends its time, from what it prints."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.phases import START, between, phases
from bench.report.results import Part
from bench.running import Line

PRINTED = (
    Line(at=1.0, text=" • Starting the simulated Azure …"),
    Line(at=5.0, text=" ✓ Starting the simulated Azure (4 s)"),
    Line(at=6.0, text="Previewing update (labbench):"),
    Line(at=12.0, text="Updating (labbench):"),
    Line(at=40.0, text="Previewing update (labbench):"),
    Line(at=50.0, text=" +  command:remote:Command hello-rollout creating (0s)"),
    Line(at=51.0, text=" +  command:remote:Command hello-rollout creating (1s) route written"),
    Line(at=60.0, text=" +  command:remote:Command hello-rollout created (10s)"),
)


def test_phases_are_in_order_and_without_gaps() -> None:
    found = phases(PRINTED, 61.0)

    assert found[0] == Part(title=START, start=0.0, value=1.0)
    for one, following in pairwise(found):
        assert following.start == one.start + one.value
    assert sum(one.value for one in found) == pytest.approx(61.0)


def test_the_second_preview_is_not_the_first() -> None:
    previews = [one.start for one in phases(PRINTED, 61.0) if one.title.startswith("preview")]

    assert previews == [6.0, 40.0]


def test_a_phase_without_its_line_counts_as_the_one_before() -> None:
    azure = next(one for one in phases(PRINTED, 61.0) if one.title.startswith("Azure's"))

    assert azure.value == 28.0


def test_a_run_without_output_is_one_phase() -> None:
    assert phases((), 3.0) == (Part(title=START, start=0.0, value=3.0),)


def test_between_takes_the_first_line_of_each_kind() -> None:
    assert between(PRINTED, "hello-rollout creating", "hello-rollout created") == 10.0
    assert between(PRINTED, "hello-rollout creating", "never printed") is None
