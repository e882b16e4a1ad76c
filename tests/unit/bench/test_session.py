"""The benchmarks have their own stack, which is removed at the end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from bench import session
from bench.session import own_stack, refuse_company
from tools.paths import PROJECT
from tools.progress import StepFailed


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project and a state folder of the test's own, with no lab on the machine."""
    shutil.copy(PROJECT / "Pulumi.dev.yaml", tmp_path)
    monkeypatch.setattr("lab.pulumi.stack_config.PROJECT", tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def downs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made of the stack with `make`."""
    targets: list[str] = []
    monkeypatch.setattr(session, "make", lambda target, _log: targets.append(target))
    return targets


def test_the_stack_has_its_own_address_space(project: Path) -> None:
    with own_stack(project):
        written = yaml.safe_load((project / "Pulumi.labbench.yaml").read_text())["config"]

    assert written["fleet:vnetCidr"] == "10.78.0.0/16"
    assert written["fleet:services"]["hello"]["instances"] == 2


def test_nothing_is_left_of_the_stack_however_the_run_ends(
    project: Path, downs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted_run() -> None:
        with own_stack(project):
            monkeypatch.setattr(session, "stacks_left", lambda: ["labbench"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_run()

    assert downs == ["down"]
    assert not (project / "Pulumi.labbench.yaml").exists()


def test_leftovers_of_a_killed_run_are_removed_first(
    project: Path, downs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "stacks_left", lambda: ["labbench"])

    with own_stack(project):
        assert downs == ["down"]


def test_a_stack_that_is_down_is_not_taken_down_again(project: Path, downs: list[str]) -> None:
    with own_stack(project):
        pass

    assert downs == []


def test_a_lab_in_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "stacks_left", lambda: ["dev", "labbench"])

    with pytest.raises(StepFailed, match="the lab is up with dev"):
        refuse_company()


def test_the_stack_of_a_killed_run_is_not_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "stacks_left", lambda: ["labbench"])

    refuse_company()
