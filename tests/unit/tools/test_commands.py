"""A failed step's message has what, why, what to do, and the end of the log."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.commands import capture, run
from tools.images import docker
from tools.progress import StepFailed


def test_a_failed_command_shows_the_last_twenty_lines_and_the_log(tmp_path: Path) -> None:
    log = tmp_path / "step.log"

    with pytest.raises(StepFailed) as caught:
        run(["sh", "-c", "seq 1 50; exit 3"], what="counting", log=log, advice="Count again.")

    message = str(caught.value)
    assert "counting failed: sh exited with 3" in message
    assert "│ 31\n" in message
    assert "│ 30\n" not in message
    assert str(log) in message
    assert message.endswith("Count again.")


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="no-such-program is not installed"):
        run(["no-such-program"], what="trying", log=tmp_path / "step.log")


def test_a_failed_command_raises_its_own_message() -> None:
    with pytest.raises(StepFailed, match="asking failed: out of order"):
        capture(["sh", "-c", "echo out of order >&2; exit 1"], what="asking", advice="Wait.")


def test_an_image_that_cannot_be_saved_is_a_failure(
    command: Callable[[str, str], None], tmp_path: Path
) -> None:
    command("docker", "echo half an image; exit 1")

    with pytest.raises(StepFailed, match="docker save exited with 1"):
        docker.save("fleet/some:key", tmp_path / "some.tar.gz")
