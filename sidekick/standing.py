"""Decides after a check: announce, withdraw or report the instance, and when to check again.

Pure: no clock, no etcd. `Standing` is the state, `judge` the transition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from contract.registration import HealthCheck

NEW_PAUSE = 0.3
"""Seconds from check to check of an instance that has just started …"""
NEW_COMMAND_PAUSE = 1.0
"""… if a check starts a process in the container."""
NEW_FOR = 60.0
GRACE = 3.0
"""Seconds without a report in which there may be no container yet."""
REPORT_EVERY = 5.0
LEAST_PAUSE = 0.3
"""Seconds after a check that took longer than its interval."""


@dataclass(kw_only=True, frozen=True)
class Outcome:
    """How a check went."""

    problem: str | None = None  # None: the instance is healthy
    is_unsure: bool = False  # the problem says nothing about the instance: docker did not answer


@dataclass(kw_only=True, frozen=True)
class Standing:
    """How the checks of an instance went so far. Times are of one monotonic clock, in seconds."""

    passed: int = 0  # in a row
    failed: int = 0
    next_report: float
    new_until: float


@dataclass(kw_only=True, frozen=True)
class Verdict:
    """What follows from a check."""

    standing: Standing
    announce: bool = False  # write the key, or renew it
    withdraw: bool = False
    report: bool = False
    interval: float  # from the start of this check to the next


def begin(now: float) -> Standing:
    """The standing of an instance whose container is not known yet."""
    return Standing(next_report=now + GRACE, new_until=now + NEW_FOR)


def with_container(now: float, health: HealthCheck) -> Standing:
    """The standing of an instance whose container was just found: its start period begins."""
    return Standing(next_report=now + health.start_period, new_until=now + NEW_FOR)


def without_container(standing: Standing, now: float) -> Standing:
    """The standing of an instance whose process has ended. It is reported immediately."""
    return replace(standing, passed=0, failed=0, next_report=now)


def judge(
    standing: Standing, outcome: Outcome, health: HealthCheck, *, is_announced: bool, now: float
) -> Verdict:
    """What follows from a check."""
    if outcome.problem is None:
        passed = standing.passed + 1
        return Verdict(
            standing=replace(standing, passed=passed, failed=0),
            announce=is_announced or passed >= health.healthy_threshold,
            interval=health.interval,
        )
    if is_announced and outcome.is_unsure:
        return Verdict(standing=standing, announce=True, interval=health.interval)
    standing = replace(standing, passed=0, failed=standing.failed + 1)
    if is_announced:
        return _judge_announced(standing, health, now)
    reports = now >= standing.next_report
    if reports:
        standing = replace(standing, next_report=now + REPORT_EVERY)
    interval = _new_pause(health) if now < standing.new_until else health.interval
    return Verdict(standing=standing, report=reports, interval=interval)


def pause(interval: float, elapsed: float) -> float:
    """Seconds to rest after a check that took `elapsed`."""
    return min(max(interval - elapsed, LEAST_PAUSE), interval)


def _judge_announced(standing: Standing, health: HealthCheck, now: float) -> Verdict:
    """A failed check: the key stays until enough of them failed."""
    if standing.failed < health.unhealthy_threshold:
        return Verdict(standing=standing, announce=True, interval=health.interval)
    return Verdict(
        standing=replace(standing, next_report=now + REPORT_EVERY),
        withdraw=True,
        report=True,
        interval=health.interval,
    )


def _new_pause(health: HealthCheck) -> float:
    return NEW_COMMAND_PAUSE if health.kind == "command" else NEW_PAUSE
