"""Medians, and numbers as people read them."""

from __future__ import annotations

import pytest

from bench.report.number_format import number, quantity, ratio, spread
from bench.report.results import Figure


def test_the_value_of_a_figure_is_the_median_of_its_samples() -> None:
    figure = Figure(title="boot", unit="s", samples=(9.0, 1.0, 2.0))

    assert figure.value == 2.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.126, "0.13"), (4.25, "4.25"), (73.24, "73.2"), (3, "3"), (12345.6, "12,346")],
)
def test_a_number_has_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_quantity_without_a_unit_ends_with_its_number() -> None:
    assert quantity(3, "") == "3"


@pytest.mark.parametrize(("value", "text"), [(0.62, "0.62x"), (4.5, "4.50x"), (15.4, "15x")])
def test_a_ratio_says_how_many_times(value: float, text: str) -> None:
    assert ratio(value) == text


def test_several_samples_are_shown_as_a_range() -> None:
    assert spread((3.0, 1.0, 2.0), "s") == "3 times, 1 to 3 s"
    assert spread((3.0,), "s") == ""
