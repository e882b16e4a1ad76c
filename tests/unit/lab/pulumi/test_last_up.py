"""When the second program run of an `up`, the preview, can be left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.machine.paths import state_root
from lab.pulumi import engine, last_up, sample_secrets, stack_config
from lab.pulumi.engine import Stack
from tools.paths import PROJECT

CONFIG = "Pulumi.dev.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one file for each name, with a stack that is up."""
    folder = tmp_path / "project"
    for name in (*last_up.FILES, CONFIG, *(f"{name}/file" for name in last_up.FOLDERS)):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("before")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(last_up, "PROJECT", folder)
    monkeypatch.setattr(stack_config, "PROJECT", folder)
    monkeypatch.setattr(engine, "environment", lambda _endpoints: {})
    write_state("before")
    return folder


@pytest.fixture
def stack(project: Path) -> Stack:  # noqa: ARG001 (it is made there)
    return Stack("dev", None)  # type: ignore[arg-type]  # it makes no call here


def test_an_unchanged_up_is_recognised_as_a_repetition(stack: Stack) -> None:
    assert not last_up.is_repeated(stack)

    last_up.remember(stack)

    assert last_up.is_repeated(stack)


@pytest.mark.parametrize("name", [*last_up.FILES, CONFIG, *last_up.FOLDERS])
def test_a_change_of_program_config_or_lab_needs_a_preview(
    stack: Stack, project: Path, name: str
) -> None:
    last_up.remember(stack)
    changed = project / name
    (changed / "new" if changed.is_dir() else changed).write_text("after")

    assert not last_up.is_repeated(stack)


@pytest.mark.parametrize(
    "change",
    [
        lambda: write_state("after"),  # by pulumi itself, or by an up that was cut short
        lambda: sample_secrets._write_private(
            sample_secrets._values_file("dev"), '{"key": "renewed"}'
        ),
        lambda: last_up.forget("dev"),
    ],
)
def test_a_change_of_state_or_secrets_needs_a_preview(
    stack: Stack, change: Callable[[], None]
) -> None:
    last_up.remember(stack)

    change()

    assert not last_up.is_repeated(stack)


def test_an_up_of_another_stack_is_no_repetition(stack: Stack, project: Path) -> None:
    last_up.remember(stack)
    (project / "Pulumi.dev2.yaml").write_text("before")

    assert not last_up.is_repeated(Stack("dev2", None))  # type: ignore[arg-type]


def test_all_imported_modules_count() -> None:
    """Read from Python itself: a new folder must not be forgotten."""
    look = (
        "import json, sys;"
        "import components, components.fleet, components.scale_set;"
        "import components.rendering.service_secrets;"
        "import lab.providers.azure_native.provider, lab.providers.command.provider;"
        "print(json.dumps([getattr(one, '__file__', None) for one in sys.modules.values()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", look],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    files = [Path(file) for file in json.loads(done.stdout) if file]
    ours = [
        file.relative_to(PROJECT)
        for file in files
        if file.is_relative_to(PROJECT) and not file.is_relative_to(PROJECT / ".venv")
    ]

    assert {file.parts[0] for file in ours} <= {*last_up.FOLDERS, *last_up.FILES}
    assert ours


def write_state(content: str) -> None:
    file = state_root() / "stacks" / ".pulumi" / "stacks" / "fleet" / "dev.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
