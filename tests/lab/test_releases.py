"""New releases: they take over without a failed request, or not at all."""

from __future__ import annotations

from tests.lab.stack import Answers, LabStack, failed, hello


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


def test_a_failing_release_leaves_the_old_one_serving(stack: LabStack) -> None:
    old, before = stack.served_by()["release"], stack.starts()

    unhealthy = hello(http={"port": 8080, "health": "/nope"})
    with stack.steady_requests() as answers, stack.changed(unhealthy):
        said = failed(stack.lab("up", stack.name))
        after = stack.starts()

    assert "instance 1 did not become ready" in said
    assert "/nope answered 404" in said
    assert f"release {old} keeps serving" in said
    assert answers.failures == []
    assert releases(answers) == {old}
    assert after == before, "nothing of the failed release is left, nothing of the old one moved"


def test_a_crashing_release_says_its_last_words(stack: LabStack) -> None:
    old = stack.served_by()["release"]

    with stack.changed(hello(env={"PORT": "nonsense"})):
        said = failed(stack.lab("up", stack.name))
        still = {stack.served_by()["release"] for _ in range(10)}

    assert "invalid literal for int() with base 10: 'nonsense'" in said
    assert still == {old}


def releases(answers: Answers) -> set[str]:
    return {answer["release"] for answer in answers.served_by}
