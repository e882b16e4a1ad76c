"""A throw-away Pulumi project with a file backend, driven by the real engine."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.build import ensure_program
from tools.paths import PROJECT

PASSPHRASE = "a passphrase for tests"

_PROJECT_FILE = """\
name: tests
runtime: python
"""

_PYTHON = (
    "#!/bin/sh\n"
    "# Each command of the engine asks what pip has installed: half a second, always the same.\n"
    'if [ "$1 $2 $3" = "-m pip list" ]; then exec cat "$(dirname "$0")/packages.json"; fi\n'
    f'exec "{sys.executable}" "$@"\n'
)

_NEW_STACKS: dict[str, dict[Path, bytes]] = {}
"""The files that `pulumi stack init` wrote, by the project's file."""


@dataclass(frozen=True)
class Outcome:
    """The result of a command."""

    code: int
    text: str

    @property
    def succeeded(self) -> bool:
        return self.code == 0


class PulumiStack:
    """One stack of one project in `folder`, its plugins found on PATH."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        for name in ("home", "state", "plugins", "project", "python"):
            (folder / name).mkdir()
        programs = [ensure_program("pulumi"), ensure_program("pulumi-language-python")]
        self._pulumi = programs[0] / "pulumi"
        for name in ("python", "python3"):
            self._executable(folder / "python" / name, _PYTHON)
        (folder / "python/packages.json").write_text(_installed_packages())
        path = [folder / "python", folder / "plugins", *programs, Path(sys.executable).parent]
        self.environment = {
            **{name: os.environ[name] for name in ("HOME",) if name in os.environ},
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "PYTHONPATH": str(PROJECT),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_STACK": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "NO_COLOR": "1",
            "GOGC": "400",  # it ends before collecting garbage pays
            **environment,
        }
        (folder / "project" / "Pulumi.yaml").write_text(_PROJECT_FILE)

    def plugin(self, package: str, module: str) -> None:
        """Put a plugin on PATH that runs a Python module."""
        script = self._folder / "plugins" / f"pulumi-resource-{package}"
        self._executable(script, f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')

    def program(self, text: str) -> None:
        """The program that the next commands run."""
        source = textwrap.dedent(text)
        (self._folder / "project" / "__main__.py").write_text(source)

    def file(self, name: str, content: bytes) -> None:
        """A file of the project."""
        (self._folder / "project" / name).write_bytes(content)

    def init(self) -> None:
        """Make the stack. The same project's next one is a copy."""
        project = (self._folder / "project/Pulumi.yaml").read_text()
        if project not in _NEW_STACKS:
            outcome = self.run("stack", "init", "test")
            assert outcome.succeeded, outcome.text
            made = [*(self._folder / "state").rglob("*"), self._folder / "project/Pulumi.test.yaml"]
            _NEW_STACKS[project] = {
                file.relative_to(self._folder): file.read_bytes() for file in made if file.is_file()
            }
        for name, content in _NEW_STACKS[project].items():
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_bytes(content)

    def configure(self, values: Mapping[str, object]) -> None:
        """Put values into the stack's configuration, as `pulumi config set` does one by one."""
        file = self._folder / "project" / "Pulumi.test.yaml"
        own = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump({**own, "config": own.get("config", {}) | values}))

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

    def _executable(self, file: Path, script: str) -> None:
        file.write_text(script)
        file.chmod(0o755)


@functools.cache
def _installed_packages() -> str:
    command = [sys.executable, "-m", "pip", "list", "-v", "--format", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
