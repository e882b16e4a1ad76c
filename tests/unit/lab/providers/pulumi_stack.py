"""A throw-away Pulumi project with a file backend, driven by the real engine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.build import ensure_program
from tools.paths import PROJECT

PASSPHRASE = "a passphrase for tests"

_PROJECT_FILE = """\
name: tests
runtime: python
"""


@dataclass(frozen=True)
class Outcome:
    """What a command said."""

    code: int
    text: str

    @property
    def succeeded(self) -> bool:
        return self.code == 0


class PulumiStack:
    """One stack of one project in `folder`, its plugins found on PATH."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        for name in ("home", "state", "plugins", "project"):
            (folder / name).mkdir()
        programs = [ensure_program("pulumi"), ensure_program("pulumi-language-python")]
        self._pulumi = programs[0] / "pulumi"
        path = [folder / "plugins", *programs, Path(sys.executable).parent]
        self.environment = {
            **{name: os.environ[name] for name in ("HOME",) if name in os.environ},
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "PYTHONPATH": str(PROJECT),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "NO_COLOR": "1",
            **environment,
        }
        (folder / "project" / "Pulumi.yaml").write_text(_PROJECT_FILE)

    def plugin(self, package: str, module: str) -> None:
        """Put a plugin on PATH that runs a Python module."""
        script = self._folder / "plugins" / f"pulumi-resource-{package}"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        script.chmod(0o755)

    def program(self, text: str) -> None:
        """The program that the next commands run."""
        source = textwrap.dedent(text)
        (self._folder / "project" / "__main__.py").write_text(source)

    def file(self, name: str, content: bytes) -> None:
        """A file of the project."""
        (self._folder / "project" / name).write_bytes(content)

    def init(self) -> None:
        outcome = self.run("stack", "init", "test")
        assert outcome.succeeded, outcome.text

    def up(self, *options: str) -> Outcome:
        return self.run("up", "--yes", "--skip-preview", "--non-interactive", *options)

    def preview(self, *options: str) -> Outcome:
        return self.run("preview", "--diff", "--non-interactive", *options)

    def refresh(self) -> Outcome:
        return self.run("refresh", "--yes", "--skip-preview", "--non-interactive")

    def destroy(self) -> Outcome:
        return self.run("destroy", "--yes", "--skip-preview", "--non-interactive")

    def run(self, *command: str) -> Outcome:
        done = subprocess.run(
            [self._pulumi, *command],
            cwd=self._folder / "project",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=300,
        )
        return Outcome(done.returncode, done.stdout)

    def killed(self, *command: str, when: Callable[[], bool]) -> None:
        """Start a command and kill it, with all that it has started, as soon as `when` is true."""
        process = subprocess.Popen(
            [self._pulumi, *command],
            cwd=self._folder / "project",
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while not when():
                assert process.poll() is None, f"{command} ended too early"
                time.sleep(0.05)
        finally:
            for member in _session(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
            process.wait()

    def exported(self) -> str:
        """The state as it is stored: secrets encrypted."""
        return (self._folder / "state/.pulumi/stacks/tests/test.json").read_text()

    def resource(self, name: str) -> dict[str, Any]:
        """The state of the resource with that name in the program."""
        resources = json.loads(self.exported())["checkpoint"]["latest"]["resources"]
        (found,) = [each for each in resources if each["urn"].rsplit("::", 1)[-1] == name]
        return dict(found)

    def outputs(self) -> dict[str, Any]:
        return dict(json.loads(self.run("stack", "output", "--json").text))


def _session(leader: int) -> Iterator[int]:
    """The processes of a session: plugins have process groups of their own."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # pid (name) state ppid pgrp session
            if int(status.read_text().rpartition(")")[2].split()[3]) == leader:
                yield int(status.parent.name)
