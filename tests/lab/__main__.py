"""Runs all tests of the lab: groups that do not disturb each other side by side, then the rest.

Lab tests mostly wait (for booting VMs, expiring leases, rollouts), so two cores can run several
clusters in parallel. Tests that take the whole lab down run alone, last.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from lab.commands.up import prepare
from lab.pulumi.engine import environment
from tests.lab.leftovers import Machine
from tools.paths import PROJECT

UNTOUCHED = "FLEET_TESTS_UNTOUCHED"
"""Environment variable: a file that says what was on this machine before the lab's first start."""

SIDE_BY_SIDE = (("users",), ("cluster",), ("interruptions",))
"""Folders of tests/lab. Each group is one run of pytest with separate stacks."""
ALONE = ("alone",)
SHARED = ("cluster",)
"""Groups whose stack stays up for the tests that run alone."""


def main(options: Sequence[str]) -> int:
    """Run everything with these options of pytest; 1 if a group failed."""
    with tempfile.TemporaryDirectory() as folder:
        untouched = Path(folder) / "untouched.json"
        Machine.now().write(untouched)
        os.environ[UNTOUCHED] = str(untouched)
        _, endpoints = prepare()
        environment(endpoints)  # writes the engine's plugins, which no two runs should do at once
        codes = _run(SIDE_BY_SIDE, options)
        codes += _run((ALONE,), options)
    return int(any(codes))


def _run(folders: Sequence[Sequence[str]], options: Sequence[str]) -> list[int]:
    """Run these groups at once and return their exit codes."""
    groups = [_Group(names, options) for names in folders]
    try:
        return [group.wait() for group in groups]
    except KeyboardInterrupt:
        # a terminal's Ctrl-C reaches them, too: they take their stacks down before they end
        for group in groups:
            group.wait()
        raise


class _Group:
    """One run of pytest, whose lines are printed as they come, with the time and its name."""

    def __init__(self, names: Sequence[str], options: Sequence[str]) -> None:
        keep = ["--keep"] if set(names) & set(SHARED) else []
        self._name = names[0]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-u", "-m", "pytest", "-v", "-p", "no:cacheprovider"),
                *(f"tests/lab/{name}" for name in names),
                *(*keep, *options),
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._print)
        self._reader.start()

    def wait(self) -> int:
        self._reader.join()
        return self._process.wait()

    def _print(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            print(f"{time.strftime('%H:%M:%S')} {self._name:13} {line}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
