"""What a benchmark finds: figures with what they are compared to, and how something splits up."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Something simpler that was measured in the same run, in the same unit."""

    title: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value: of several samples their median."""

    title: str
    unit: str
    samples: tuple[float, ...]
    limit: float | None = None
    """What it should stay under, as issue 3 says."""
    references: tuple[Reference, ...] = ()
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
    """What a figure is made of."""

    title: str
    remark: str
    unit: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long the requests of one load took, in milliseconds."""

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
    """Where, when and of which version, in one line."""
    results: tuple[Result, ...]
    trouble: tuple[str, ...] = ()
    """What could not be measured, and what may have disturbed the rest."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        return tuple(one for one in self.results if isinstance(one, Figure))

    @property
    def breakdowns(self) -> tuple[Breakdown, ...]:
        return tuple(one for one in self.results if isinstance(one, Breakdown))

    @property
    def latencies(self) -> tuple[Latency, ...]:
        return tuple(one for one in self.results if isinstance(one, Latency))
