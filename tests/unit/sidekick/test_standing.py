"""When an instance is announced, withdrawn and reported: the state machine of its checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.registration import HealthCheck
from sidekick.standing import (
    GRACE,
    LEAST_PAUSE,
    NEW_COMMAND_PAUSE,
    NEW_FOR,
    NEW_PAUSE,
    REPORT_EVERY,
    Outcome,
    Standing,
    Verdict,
    begin,
    judge,
    pause,
    with_container,
    without_container,
)

HEALTH = HealthCheck(
    kind="http",
    start_period=10,
    interval=3,
    timeout=3,
    healthy_threshold=1,
    unhealthy_threshold=2,
)
PASSED = Outcome()
FAILED = Outcome(problem="no answer")
UNSURE = Outcome(problem="docker does not answer", is_unsure=True)


class Instance:
    """An instance whose checks go as a test says, one second apart."""

    def __init__(self, health: HealthCheck = HEALTH, *, is_announced: bool = False) -> None:
        self.health = health
        self.is_announced = is_announced
        self.now = 100.0
        self.standing: Standing = with_container(self.now, health)

    def check(self, *outcomes: Outcome) -> Verdict:
        """The verdict on the last of these checks."""
        for outcome in outcomes:
            verdict = judge(
                self.standing, outcome, self.health, is_announced=self.is_announced, now=self.now
            )
            self.standing = verdict.standing
            self.is_announced = verdict.announce or (self.is_announced and not verdict.withdraw)
            self.now += 1
        return verdict


def test_instance_is_announced_by_its_first_passed_check() -> None:
    verdict = Instance().check(PASSED)

    assert verdict.announce
    assert verdict.interval == HEALTH.interval


def test_instance_is_announced_after_enough_passed_checks_in_a_row() -> None:
    instance = Instance(replace(HEALTH, healthy_threshold=3))

    assert not instance.check(PASSED, PASSED).announce
    assert instance.check(PASSED).announce


def test_failed_check_in_between_starts_the_count_again() -> None:
    instance = Instance(replace(HEALTH, healthy_threshold=2))

    assert not instance.check(PASSED, FAILED, PASSED).announce
    assert instance.check(PASSED).announce


def test_announced_instance_stays_after_one_failed_check() -> None:
    verdict = Instance(is_announced=True).check(FAILED)

    assert verdict.announce
    assert not verdict.withdraw


def test_announced_instance_is_withdrawn_and_reported_after_enough_failed_checks() -> None:
    verdict = Instance(is_announced=True).check(FAILED, FAILED)

    assert verdict.withdraw
    assert verdict.report
    assert not verdict.announce


def test_passed_check_in_between_starts_the_count_of_failed_ones_again() -> None:
    assert Instance(is_announced=True).check(FAILED, PASSED, FAILED).announce


def test_check_that_docker_could_not_make_never_withdraws() -> None:
    assert Instance(is_announced=True).check(*[UNSURE] * 50).announce


def test_check_that_docker_could_not_make_does_not_forgive_a_failed_one() -> None:
    assert Instance(is_announced=True).check(FAILED, UNSURE, FAILED).withdraw


def test_check_that_docker_could_not_make_announces_nothing_new() -> None:
    assert not Instance().check(UNSURE).announce


def test_failures_in_the_start_period_are_not_reported() -> None:
    instance = Instance()

    verdicts = [instance.check(FAILED) for _ in range(20)]

    reported = [n for n, verdict in enumerate(verdicts) if verdict.report]
    assert reported == [HEALTH.start_period, HEALTH.start_period + REPORT_EVERY]


def test_instance_without_a_container_is_reported_after_a_moment() -> None:
    instance = Instance()
    instance.standing = begin(instance.now)

    verdicts = [instance.check(FAILED) for _ in range(5)]

    assert [verdict.report for verdict in verdicts] == [n == GRACE for n in range(5)]


def test_ended_process_is_reported_immediately() -> None:
    instance = Instance()
    instance.standing = without_container(instance.standing, instance.now)

    assert instance.check(FAILED).report


def test_successor_of_a_dead_container_has_to_prove_itself_again() -> None:
    instance = Instance(replace(HEALTH, healthy_threshold=2))
    instance.check(PASSED)

    instance.standing = with_container(instance.now, instance.health)
    instance.is_announced = False

    assert not instance.check(PASSED).announce


@pytest.mark.parametrize(("kind", "first"), [("http", NEW_PAUSE), ("command", NEW_COMMAND_PAUSE)])
def test_new_instance_is_checked_more_often(kind: str, first: float) -> None:
    instance = Instance(replace(HEALTH, kind=kind))

    assert instance.check(FAILED).interval == first
    instance.now += NEW_FOR
    assert instance.check(FAILED).interval == HEALTH.interval


@pytest.mark.parametrize(
    ("elapsed", "expected"), [(0.0, 3.0), (1.0, 2.0), (2.9, LEAST_PAUSE), (9.0, LEAST_PAUSE)]
)
def test_pause_after_a_check_makes_its_interval_whole(elapsed: float, expected: float) -> None:
    assert pause(3.0, elapsed) == expected


def test_pause_is_never_longer_than_the_interval() -> None:
    assert pause(0.1, 0.0) == 0.1


@given(
    st.lists(st.sampled_from([PASSED, FAILED, UNSURE])),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_key_changes_only_after_a_run_of_equal_checks(
    outcomes: list[Outcome], healthy: int, unhealthy: int
) -> None:
    instance = Instance(replace(HEALTH, healthy_threshold=healthy, unhealthy_threshold=unhealthy))
    for n, outcome in enumerate(outcomes):
        before = instance.is_announced
        verdict = instance.check(outcome)
        assert not (verdict.announce and verdict.withdraw)
        sure = [one for one in outcomes[: n + 1] if not (before and one.is_unsure)]
        if not before and instance.is_announced:
            assert sure[-healthy:] == [PASSED] * healthy
        if before and not instance.is_announced:
            assert sure[-unhealthy:] == [FAILED] * unhealthy
