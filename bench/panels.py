"""What the picture shows: the report's figures on scales that let them be compared. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bench.figures import Breakdown, Latency, Report
from bench.picture import Bar, Dot, Guide, Panel, Row, Tone
from bench.words import number, quantity, ratio

TICKS = 4


def panels(report: Report) -> tuple[Panel, ...]:
    """One panel a question; those that nothing was measured for are left out."""
    drawn = (
        _limits(report),
        _ratios(report),
        *(_breakdown(one) for one in report.breakdowns),
        _latencies(report.latencies),
    )
    return tuple(panel for panel in drawn if panel.rows)


def _limits(report: Report) -> Panel:
    """Every bar is a share of its own limit, so that all limits are one line."""
    shares = [
        (one, one.limit, one.value / one.limit) for one in report.figures if one.limit is not None
    ]
    end = max([1.2, *(share * 1.05 for _, _, share in shares)])
    rows = tuple(
        Row(
            name=figure.title,
            value=f"{quantity(figure.value, figure.unit)} of {quantity(limit, figure.unit)}"
            + (", exceeded" if share > 1 else ""),
            marks=(Bar(start=0, end=share / end, tone=Tone.OVER if share > 1 else Tone.OURS),),
        )
        for figure, limit, share in shares
    )
    return Panel(
        heading="What it should stay under",
        remark="Each bar is a share of its own limit.",
        rows=rows,
        guides=(Guide(at=0, text="0"), Guide(at=1 / end, text="limit")),
    )


def _ratios(report: Report) -> Panel:
    """Powers of ten apart, hence logarithmic."""
    pairs = [
        (figure, reference, figure.value / reference.value)
        for figure in report.figures
        for reference in figure.references
        if figure.value > 0 and reference.value > 0
    ]
    exponents = [math.log10(share) for _, _, share in pairs]
    low = math.floor(min([0.0, *exponents]))
    high = math.ceil(max([1.0, *exponents]))

    def place(exponent: float) -> float:
        return (exponent - low) / (high - low)

    rows = tuple(
        Row(
            name=figure.title,
            detail=f"to {reference.title}",
            value=ratio(share),
            value_detail=f"{number(figure.value)} to {quantity(reference.value, figure.unit)}",
            marks=(
                Bar(start=place(0), end=place(math.log10(share)), thin=True),
                Dot(at=place(0), tone=Tone.REFERENCE),
                Dot(at=place(math.log10(share))),
            ),
        )
        for figure, reference, share in pairs
    )
    return Panel(
        heading="Compared to something simpler, on the same machine in the same run",
        remark="Grey: the simpler thing. Each line is ten times the one before.",
        rows=rows,
        guides=tuple(
            Guide(at=place(exponent), text=ratio(10.0**exponent))
            for exponent in range(low, high + 1)
        ),
    )


def _breakdown(breakdown: Breakdown) -> Panel:
    end = max((part.start + part.value for part in breakdown.parts), default=0) or 1.0
    return Panel(
        heading=breakdown.title,
        remark=breakdown.remark,
        rows=tuple(
            Row(
                name=part.title,
                value=quantity(part.value, breakdown.unit),
                marks=(Bar(start=part.start / end, end=(part.start + part.value) / end),),
            )
            for part in breakdown.parts
        ),
        guides=tuple(_scale(end, breakdown.unit)),
    )


def _latencies(latencies: tuple[Latency, ...]) -> Panel:
    end = max((one.p99 for one in latencies), default=0) or 1.0
    return Panel(
        heading="How long a request takes",
        remark="From the median to the slowest but one in a hundred. Client and cluster share "
        "the machine.",
        rows=tuple(
            Row(
                name=one.title,
                value=f"{number(one.p50)} to {quantity(one.p99, 'ms')}, "
                f"{quantity(one.per_second, 'requests/s')}",
                marks=(
                    Bar(start=one.p50 / end, end=one.p99 / end, thin=True),
                    Dot(at=one.p50 / end),
                    Dot(at=one.p99 / end),
                ),
            )
            for one in latencies
        ),
        guides=tuple(_scale(end, "ms")),
    )


def _scale(end: float, unit: str) -> Iterator[Guide]:
    """Round numbers from 0 towards the end of a linear scale."""
    step = 10.0 ** math.floor(math.log10(end / TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if end / (step * factor) <= TICKS)
    for tick in range(math.floor(end / step) + 1):
        text = number(tick * step)
        yield Guide(at=tick * step / end, text=quantity(tick * step, unit) if tick == 0 else text)
