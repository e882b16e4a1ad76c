"""A report with everything that a report can have."""

from __future__ import annotations

from bench.report.results import Baseline, Breakdown, Figure, Latency, Part, Report


def full_report() -> Report:
    boot = Baseline(title="one bare node container", value=4.0)
    return Report(
        machine="1a2b3c4 at 2026-01-02 03:04 on 2 cores",
        results=(
            Figure(
                title="make up from nothing",
                unit="s",
                samples=(80.0,),
                limit=120.0,
                baselines=(boot,),
                note="three nodes",
            ),
            Figure(
                title="scale step",
                unit="s",
                samples=(18.0, 12.0, 15.0),
                limit=10.0,
                baselines=(Baseline(title="docker run & wait", value=0.5),),
            ),
            Figure(
                title="requests through <everything>",
                unit="requests/s",
                samples=(400.0,),
                baselines=(Baseline(title="the app itself", value=1600.0),),
            ),
            Figure(title="failed requests", unit="of 2,000", samples=(0.0,)),
            Latency(
                title="the app itself", p50=2.0, p99=9.0, requests=500, failed=1, per_second=450.0
            ),
            Breakdown(
                title="Where make up spends its time",
                remark="One after the other.",
                unit="s",
                parts=(
                    Part(title="preview", start=0.0, value=20.0),
                    Part(title="machines boot", start=20.0, value=60.0),
                ),
            ),
        ),
        trouble=("the machine was busy",),
    )
