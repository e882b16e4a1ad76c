"""One commit makes one set of artefacts, in every clone and at any time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.stack import RUN_TIMEOUT, LabStack, succeeded
from tools.paths import PROJECT, cache_root

NOT_CLONED = (".git", ".venv", ".artefacts", "__pycache__", ".*_cache", "node_modules", "results")


class Clone:
    """The project in another folder, with another cache and another umask.

    The cache has the programs already: Go takes minutes to build them again, from sources and with
    a version that are locked.
    """

    def __init__(self, folder: Path) -> None:
        self.project = folder / "clone"
        self._cache = folder / "cache"
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns(*NOT_CLONED))
        for path in self.project.rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
        (self.project / ".venv").symlink_to(PROJECT / ".venv")
        (self._cache / "fleet-azure").mkdir(parents=True)
        (self._cache / "fleet-azure" / "programs").symlink_to(cache_root() / "programs")

    def run(self, *command: str) -> str:
        """Run a module of the project in this clone, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.project,
            env={**os.environ, "XDG_CACHE_HOME": str(self._cache)},
            umask=0o077,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT,
        )
        return succeeded(done)


@pytest.fixture
def clone() -> Iterator[Clone]:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders stay, and this is large
        yield Clone(Path(folder))


def test_a_second_clone_builds_the_same_and_has_nothing_to_deploy(
    stack: LabStack, clone: Clone
) -> None:
    clone.run("tools", "artefacts")

    assert checksums(clone.project) == checksums(PROJECT)
    clone.run(
        *("lab", "exec", "--", "pulumi", "preview", "--expect-no-changes", "--diff"),
        *("--stack", stack.name, "--non-interactive"),
    )


def checksums(project: Path) -> dict[str, str]:
    manifest: dict[str, Any] = json.loads((project / ".artefacts" / "manifest.json").read_text())
    files = {"bundle": manifest["bundle"], **manifest["images"]}
    return {name: file["sha256"] for name, file in files.items()}
