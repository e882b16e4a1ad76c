"""The report as text holds everything that was measured."""

from __future__ import annotations

from bench.report.results import Figure, Report
from bench.report.table import render
from tests.unit.bench.reports import full_report


def line(text: str, beginning: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(beginning))


def test_a_figure_has_its_value_its_limit_and_what_it_is_compared_to() -> None:
    text = line(render(full_report()), "make up from nothing")

    cells = [cell.strip() for cell in text.split("  ") if cell]
    assert cells == [
        "make up from nothing",
        "80 s",
        "under 120 s",
        "20x one bare node container (4 s)",
    ]


def test_an_exceeded_limit_is_marked() -> None:
    assert "under 10 s: exceeded" in line(render(full_report()), "scale step")


def test_samples_and_notes_come_below_the_table() -> None:
    text = render(full_report())

    assert "scale step: 3 times, 12 to 18 s" in text
    assert "make up from nothing: three nodes" in text


def test_loads_and_breakdowns_have_their_own_tables() -> None:
    text = render(full_report())

    assert line(text, "the app itself").split()[-2:] == ["500", "1"]
    assert "spends its time (s). One after the other.\n  20  preview\n  60  machines boot\n" in text


def test_trouble_comes_last() -> None:
    assert render(full_report()).endswith("\n! the machine was busy\n")


def test_a_report_of_one_figure_has_no_empty_sections() -> None:
    figure = Figure(title="make down", unit="s", samples=(9.0,))

    text = render(Report(machine="here", results=(figure,)))

    assert text == ("here\n\nMEASURED        LIMIT  COMPARED TO\nmake down  9 s\n")
