"""Waiting for a condition, and repeating an action, on simulated time."""

from __future__ import annotations

import pytest

from clients.waiting import TimedOut, retry, wait_until
from tests.unit.cluster.simulated_clock import SimulatedClock


class Trouble(Exception):
    """It passes."""


def test_wait_ends_as_soon_as_nothing_is_missing() -> None:
    clock = SimulatedClock()
    began = clock.now()

    wait_until(lambda: "the router" if clock.now() < began + 7 else None, patience=60, clock=clock)

    assert clock.now() == began + 7


def test_wait_that_takes_too_long_names_what_is_missing() -> None:
    clock = SimulatedClock()
    began = clock.now()

    with pytest.raises(TimedOut, match="the router"):
        wait_until(lambda: "the router", patience=10, clock=clock)

    assert clock.now() == began + 10


def test_wait_can_end_in_an_error_of_the_caller() -> None:
    with pytest.raises(Trouble, match="no router"):
        wait_until(
            lambda: "router",
            patience=1,
            clock=SimulatedClock(),
            give_up=lambda missing: Trouble(f"no {missing}"),
        )


def test_without_patience_the_condition_is_still_checked_once() -> None:
    clock = SimulatedClock()
    began = clock.now()

    wait_until(lambda: None, patience=0, clock=clock)

    assert clock.now() == began


def test_wait_is_reported_after_a_quiet_start_and_then_now_and_again() -> None:
    clock, lines = SimulatedClock(), list[str]()

    with pytest.raises(TimedOut):
        wait_until(
            lambda: "waiting for the router", patience=30, clock=clock, progress=lines.append
        )

    assert lines == ["waiting for the router (5 s)", "waiting for the router (20 s)"]


def test_lock_is_kept_while_time_passes() -> None:
    clock, pauses = SimulatedClock(), list[float]()

    class Lock:
        def pause(self, seconds: float) -> None:
            pauses.append(seconds)
            clock.sleep(seconds)

    with pytest.raises(TimedOut):
        wait_until(lambda: "x", patience=2, pause=0.5, clock=clock, lock=Lock())

    assert pauses == [0.5] * 4


def test_action_is_repeated_while_it_fails_in_the_expected_way() -> None:
    failures = [Trouble(), Trouble()]

    def act() -> int:
        if failures:
            raise failures.pop()
        return 42

    assert retry(act, on=Trouble, patience=60, clock=SimulatedClock()) == 42


def test_action_that_keeps_failing_raises_its_own_error() -> None:
    def act() -> None:
        raise Trouble("still")

    with pytest.raises(Trouble, match="still"):
        retry(act, on=Trouble, patience=5, clock=SimulatedClock())


def test_unexpected_error_is_raised_at_once() -> None:
    clock = SimulatedClock()
    began = clock.now()

    def act() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        retry(act, on=Trouble, patience=5, clock=clock)
    assert clock.now() == began
