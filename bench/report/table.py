"""The report as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.report.number_format import number, quantity, ratio, spread
from bench.report.results import Breakdown, Figure, Latency, Report
from lab.commands.status import table


def render(report: Report) -> str:
    """Everything that was measured, for a terminal."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield report.machine
    yield ""
    yield table(("MEASURED", "", "LIMIT", "COMPARED TO"), map(_figure, report.figures))
    if report.latencies:
        yield ""
        yield table(
            ("LOAD", "REQUESTS/S", "P50", "P99", "REQUESTS", "FAILED"),
            map(_latency, report.latencies),
        )
    for breakdown in report.breakdowns:
        yield ""
        yield f"{breakdown.title} ({breakdown.unit}). {breakdown.remark}"
        yield from _parts(breakdown)
    notes = [one for one in report.figures if one.note or len(one.samples) > 1]
    if notes:
        yield ""
        yield from map(_note, notes)
    if report.trouble:
        yield ""
        yield from (f"! {line}" for line in report.trouble)


def _figure(figure: Figure) -> Sequence[str]:
    return (
        figure.title,
        quantity(figure.value, figure.unit),
        "" if figure.limit is None else _limit(figure.value, figure.limit, figure.unit),
        "; ".join(
            f"{ratio(figure.value / one.value)} {one.title} ({quantity(one.value, figure.unit)})"
            for one in figure.baselines
        ),
    )


def _limit(value: float, limit: float, unit: str) -> str:
    text = f"under {quantity(limit, unit)}"
    return text if value <= limit else f"{text}: exceeded"


def _latency(load: Latency) -> Sequence[str]:
    return (
        load.title,
        number(load.per_second),
        quantity(load.p50, "ms"),
        quantity(load.p99, "ms"),
        number(load.requests),
        number(load.failed),
    )


def _parts(breakdown: Breakdown) -> Iterator[str]:
    width = max((len(number(part.value)) for part in breakdown.parts), default=0)
    for part in breakdown.parts:
        yield f"  {number(part.value).rjust(width)}  {part.title}"


def _note(figure: Figure) -> str:
    notes = "; ".join(one for one in (spread(figure.samples, figure.unit), figure.note) if one)
    return f"{figure.title}: {notes}"
