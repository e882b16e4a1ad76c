"""What a run measures: figures with their baselines, breakdowns, and latencies."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Something simpler that the same run measured, in the same unit."""

    title: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value: the median of its samples."""

    title: str
    unit: str
    samples: tuple[float, ...]
    limit: float | None = None
    """The value should stay below it."""
    baselines: tuple[Baseline, ...] = ()
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.samples)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a whole. Phases begin where the one before ended, other parts at 0."""

    title: str
    value: float
    start: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """The parts of a figure."""

    title: str
    remark: str
    unit: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Times of the requests of one load, in milliseconds."""

    title: str
    p50: float
    p99: float
    requests: int
    failed: int
    per_second: float


Result = Figure | Breakdown | Latency


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run of the benchmarks."""

    machine: str
    """Machine, time and version, in one line."""
    results: tuple[Result, ...]
    trouble: tuple[str, ...] = ()
    """Failed measurements, and what may have disturbed the others."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        return tuple(one for one in self.results if isinstance(one, Figure))

    @property
    def breakdowns(self) -> tuple[Breakdown, ...]:
        return tuple(one for one in self.results if isinstance(one, Breakdown))

    @property
    def latencies(self) -> tuple[Latency, ...]:
        return tuple(one for one in self.results if isinstance(one, Latency))
