"""What the picture shows is to scale."""

from __future__ import annotations

import pytest

from bench.figures import Figure, Latency, Reference, Report
from bench.panels import panels
from bench.picture import Bar, Dot, Panel, Tone
from tests.unit.bench.reports import full_report


def limits(*figures: Figure) -> Panel:
    return panels(Report(machine="", results=figures))[0]


def with_limit(value: float, limit: float) -> Figure:
    return Figure(title="step", unit="s", samples=(value,), limit=limit)


def compared(value: float, reference: float) -> Figure:
    one = Reference(title="simple", value=reference)
    return Figure(title="step", unit="s", samples=(value,), references=(one,))


def test_bars_are_shares_of_their_own_limits() -> None:
    panel = limits(with_limit(60, 120), with_limit(5, 10))

    assert panel.rows[0].marks == panel.rows[1].marks
    [bar] = panel.rows[0].marks
    assert isinstance(bar, Bar)
    assert bar.end == pytest.approx(panel.guides[1].at / 2)


def test_a_bar_beyond_its_limit_passes_the_line_and_is_named_and_coloured() -> None:
    panel = limits(with_limit(30, 10))

    [row] = panel.rows
    [bar] = row.marks
    assert isinstance(bar, Bar)
    assert panel.guides[1].at < bar.end <= 1
    assert bar.tone == Tone.OVER
    assert row.value == "30 s of 10 s, exceeded"


def test_ratios_are_on_a_scale_of_powers_of_ten() -> None:
    [panel] = panels(Report(machine="", results=(compared(100, 1), compared(1, 10))))

    places = [mark.at for row in panel.rows for mark in row.marks if isinstance(mark, Dot)]
    assert [guide.text for guide in panel.guides] == ["0.10x", "1x", "10x", "100x"]
    assert places == pytest.approx([1 / 3, 1, 1 / 3, 0])


def test_nothing_is_compared_to_nothing() -> None:
    assert panels(Report(machine="", results=(compared(0, 1), compared(1, 0)))) == ()


def test_phases_follow_each_other_on_one_scale() -> None:
    panel = next(one for one in panels(full_report()) if one.heading.startswith("Where"))

    assert [row.marks for row in panel.rows] == [
        (Bar(start=0, end=0.25),),
        (Bar(start=0.25, end=1),),
    ]
    assert [guide.text for guide in panel.guides] == ["0 s", "20", "40", "60", "80"]


@pytest.mark.parametrize("slowest", [0.004, 0.9, 1, 3, 7, 45, 1000])
def test_a_scale_has_a_few_round_numbers_that_fit(slowest: float) -> None:
    load = Latency(title="", p50=0, p99=slowest, requests=1, failed=0, per_second=1)

    [panel] = panels(Report(machine="", results=(load,)))

    assert 2 <= len(panel.guides) <= 5
    assert all(0 <= guide.at <= 1.0001 for guide in panel.guides)


def test_every_question_of_a_full_report_has_its_panel() -> None:
    assert len(panels(full_report())) == 4
