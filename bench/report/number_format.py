"""Numbers for a report, with as many digits as the measurement supports."""

from __future__ import annotations

from collections.abc import Sequence


def quantity(value: float, unit: str) -> str:
    """`73 s`, `4.2 ms`, `1,240 requests/s`."""
    return f"{number(value)} {unit}".rstrip()


def number(value: float) -> str:
    """Three significant digits, no exponent."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def ratio(value: float) -> str:
    """How many times the baseline: `15x`, `0.62x`."""
    return f"{number(value)}x" if value < 10 else f"{value:,.0f}x"


def spread(samples: Sequence[float], unit: str) -> str:
    """From the smallest to the largest of several samples; nothing for one."""
    if len(samples) < 2:
        return ""
    return f"{len(samples)} times, {number(min(samples))} to {quantity(max(samples), unit)}"
