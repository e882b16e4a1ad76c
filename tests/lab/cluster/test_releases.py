"""New releases: they take over without a failed request, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from lab.scratch_stack import Config, hello
from tests.lab.stack import Answers, LabStack


def test_a_new_image_rolls_out_and_back_without_a_failed_request(stack: LabStack) -> None:
    old = stack.served_by()["release"]

    with stack.steady_requests() as answers:
        with stack.changed(hello(image="example-app:1.1.0")):
            stack.up()
            new = {stack.served_by()["release"] for _ in range(10)}
        back = {stack.served_by()["release"] for _ in range(10)}

    assert answers.failures == []
    assert len(new) == 1
    assert back == {old} != new, "the old release has its old name"
    assert releases(answers) == {old} | new


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An up with a new release of the sample service that is never healthy, and a new service
    whose program can't start."""

    old: str
    said: str
    answers: Answers
    before: dict[str, tuple[str, str]]
    after: dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def failure(stack: LabStack) -> Failure:
    def crashing(config: Config) -> None:
        config["fleet:services"]["crashing"] = {
            "image": "example-app:1.0.0",
            "http": {"port": 8080, "hosts": ["crashing.example"]},
            "env": {"PORT": "nonsense"},
        }

    old, before = stack.served_by()["release"], stack.starts("hello")
    unhealthy = hello(http={"port": 8080, "health": "/nope"})
    with stack.steady_requests() as answers, stack.changed(unhealthy, crashing):
        said = stack.up_fails()
        after = stack.starts("hello")
    return Failure(
        old=old,
        said=said,
        answers=answers,
        before=before,
        after=after,
    )


def test_a_failing_release_leaves_the_old_one_serving(failure: Failure) -> None:
    assert f"release {failure.old} keeps serving" in failure.said
    assert failure.answers.failures == []
    assert releases(failure.answers) == {failure.old}
    assert failure.after == failure.before, "nothing new is left, and nothing old was moved"


def test_a_failing_release_says_which_instance_failed_and_why(failure: Failure) -> None:
    [line] = [
        line
        for line in failure.said.splitlines()
        if line.strip().startswith("error:") and "hello" in line
    ]

    assert re.search(r"hello [0-9a-f]{8} instance 1 did not become ready: on core-\d", line)
    assert re.search(r"GET http://[0-9.:]+/nope answered 404", line)


def test_a_crashing_release_is_reported_with_its_last_log_lines(failure: Failure) -> None:
    assert re.search(r"crashing [0-9a-f]{8} instance 1 did not become ready", failure.said)
    assert "invalid literal for int() with base 10: 'nonsense'" in failure.said


def releases(answers: Answers) -> set[str]:
    return {answer["release"] for answer in answers.served_by}
