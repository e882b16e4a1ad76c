"""The real Pulumi engine, with the lab in Azure's place.

The program is not touched and told nothing: the engine finds the lab's plugins first on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from lab.endpoints import Endpoints
from lab.paths import PROJECT, state_root
from tools import build
from tools.progress import StepFailed

PASSPHRASE = "lab"
"""Encrypts the secrets of the lab's stacks, whose keys protect nothing but containers."""

PLUGINS = {
    "pulumi-resource-azure-native": "lab.providers.azure_native",
    "pulumi-resource-command": "lab.providers.command",
}


def environment(endpoints: Endpoints) -> dict[str, str]:
    """The variables under which any command (pulumi, curl, …) sees the lab as Azure."""
    path = [str(_plugins()), *map(str, _programs()), os.environ["PATH"]]
    inherited = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    return {
        **inherited,  # an agent's keys are offered first, and too many refused keys end a login
        "PATH": ":".join(path),
        "PYTHONPATH": str(PROJECT),
        "PULUMI_HOME": str(state_root() / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{_backend()}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "LAB_API_URL": endpoints.api_url,
        "LAB_API_TOKEN": endpoints.api_token,
        "LAB_BLOB_ENDPOINT": endpoints.blob_endpoint,
        "LAB_CA": endpoints.ca_file,
    }


class Stack:
    """One stack of the program, driven through the Pulumi command line."""

    def __init__(self, name: str, endpoints: Endpoints) -> None:
        self.name = name
        self.environment = environment(endpoints)

    def select(self) -> None:
        """Make the stack if it is new. Its config is Pulumi.<name>.yaml of the project."""
        if not (PROJECT / f"Pulumi.{self.name}.yaml").exists():
            known = sorted(path.name.split(".")[1] for path in PROJECT.glob("Pulumi.*.yaml"))
            raise StepFailed(
                f"Choosing the stack {self.name}",
                why=f"there is no Pulumi.{self.name}.yaml",
                advice=f"Choose one of {', '.join(known)}, or write that file.",
            )
        self._quietly("stack", "select", "--create", self.name)

    def exists(self) -> bool:
        """Whether the backend knows the stack."""
        return (_backend() / ".pulumi" / "stacks" / "fleet" / f"{self.name}.json").exists()

    def run(self, *arguments: str) -> int:
        """Run pulumi with the user watching; return its exit code.

        Ctrl-C reaches pulumi too, which then lets running operations end: we wait for it, since a
        killed engine would leave its state behind the cloud's.
        """
        command = ["pulumi", *arguments, "--stack", self.name]
        process = subprocess.Popen(command, cwd=PROJECT, env=self.environment)
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, previous)

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs; empty before the first successful update."""
        flags = ["--show-secrets"] if show_secrets else []
        found: dict[str, Any] = json.loads(
            self._quietly("stack", "output", "--json", *flags, "--stack", self.name) or "{}"
        )
        return found

    def state(self) -> dict[str, Any]:
        """The stack's exported state, secrets encrypted."""
        found: dict[str, Any] = json.loads(
            self._quietly("stack", "export", "--stack", self.name)
        ).get("deployment", {})
        return found

    def unlock(self) -> None:
        """Remove the lock of an engine that is no longer there (killed, or the machine died)."""
        for lock in (_backend() / ".pulumi" / "locks").glob(f"**/{self.name}/*.json"):
            owner = json.loads(lock.read_text())
            if not Path(f"/proc/{owner['pid']}").exists():
                lock.unlink()

    def remove(self) -> None:
        """Forget the destroyed stack, but keep its config file."""
        self._quietly("stack", "rm", "--yes", "--preserve-config", self.name)

    def _quietly(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise StepFailed(
                f"pulumi {arguments[0]}",
                why=(done.stderr or done.stdout).strip(),
                advice="See the message.",
            )
        return done.stdout


def stacks_left() -> list[str]:
    """The names of the stacks that the lab's backend holds."""
    folder = _backend() / ".pulumi" / "stacks" / "fleet"
    return sorted(path.stem for path in folder.glob("*.json"))


def forget_stacks() -> None:
    """Drop the state of all the lab's stacks."""
    shutil.rmtree(_backend())


def _programs() -> list[Path]:
    return [build.ensure_program(name) for name in ("pulumi", "pulumi-language-python")]


def _backend() -> Path:
    folder = state_root() / "stacks"
    folder.mkdir(exist_ok=True)
    return folder


def _plugins() -> Path:
    """A folder with an executable for each plugin that the lab plays.

    Where the real command plugin is installed, the lab uses that one.
    """
    folder = state_root() / "plugins"
    folder.mkdir(exist_ok=True)
    for executable, module in PLUGINS.items():
        path = folder / executable
        if executable == "pulumi-resource-command" and _installed_elsewhere(executable, folder):
            path.unlink(missing_ok=True)
            continue
        text = f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n'
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o755)
    return folder


def _installed_elsewhere(executable: str, folder: Path) -> bool:
    path = ":".join(p for p in os.environ["PATH"].split(":") if p != str(folder))
    if shutil.which(executable, path=path):
        return True
    kind, name = executable.removeprefix("pulumi-").split("-", 1)
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    return any(home.glob(f"plugins/{kind}-{name}-v*/{executable}"))
