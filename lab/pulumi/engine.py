"""The real Pulumi engine, with the lab in Azure's place.

The program does not change and does not know: the engine has its own home folder, with the lab's
plugins.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.machine.endpoints import Endpoints
from lab.machine.paths import PROJECT, state_root
from lab.machine.processes import ENGINE, ENGINE_MARK, end_leftovers, runs
from lab.machine.waiting import comes_true
from lab.pulumi import backend, sample_secrets, stack_config
from tools import build, cache
from tools.content_key import key_of
from tools.progress import StepFailed

PASSPHRASE = "lab"
"""Encrypts the secrets of the lab's stacks, whose keys protect nothing but containers."""

ENDING = 5.0
"""Seconds until a killed engine is gone."""

PLUGINS = {
    "azure-native": ("3.29.0", "lab.providers.azure_native"),
    "command": ("1.2.1", "lab.providers.command"),
}
"""Package → the version that the program's SDK asks for, and the module that takes its place."""


def environment(endpoints: Endpoints) -> dict[str, str]:
    """The variables with which any command (pulumi, curl, …) finds the lab in Azure's place."""
    _install_plugins()
    inherited = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    return {
        **inherited,  # an agent's keys are offered first, and too many refused keys end a login
        "PATH": f"{_commands()}:{os.environ['PATH']}",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PYTHONPATH": str(PROJECT),
        "PULUMI_HOME": str(_home()),
        "PULUMI_BACKEND_URL": f"file://{backend.root()}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_SELF_MANAGED_STATE_GZIP": "false",  # the lab reads it
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "LAB_API_URL": endpoints.api_url,
        "LAB_API_TOKEN": endpoints.api_token,
        "LAB_BLOB_ENDPOINT": endpoints.blob_endpoint,
        "LAB_CA": endpoints.ca_file,
    }


def lent_secrets(stack_name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variable that gives a stack the secrets that its config lacks, if there are any."""

    def pulumi(*arguments: str) -> None:
        _quietly(environment, *arguments, "--stack", stack_name)

    file = sample_secrets.config_file(stack_name, pulumi)
    return {"PULUMI_OPTION_CONFIG_FILE": str(file)} if file else {}


class Stack:
    """One stack of the program, driven through the Pulumi command line."""

    def __init__(self, name: str, endpoints: Endpoints) -> None:
        self.name = name
        self.environment = environment(endpoints)

    def select(self) -> None:
        """Make the stack if it is new. Its config is Pulumi.<name>.yaml of the project."""
        if not stack_config.path(self.name).exists():
            known = sorted(path.name.split(".")[1] for path in PROJECT.glob("Pulumi.*.yaml"))
            raise StepFailed(
                f"Choosing the stack {self.name}",
                why=f"there is no Pulumi.{self.name}.yaml",
                advice=f"Choose one of {', '.join(known)}, or write that file.",
            )
        if not self.exists():
            self._quietly("stack", "select", "--create", self.name)
        self.environment |= lent_secrets(self.name, self.environment)

    def exists(self) -> bool:
        """Whether the backend knows the stack."""
        return backend.has(self.name)

    def run(self, *arguments: str) -> int:
        """Run pulumi in the user's terminal; return its exit code. Raises KeyboardInterrupt.

        Ctrl-C reaches pulumi, too, which then finishes the operations that run. We wait for that: a
        killed engine's state would not match the cloud. The exit code does not count then: an
        interrupted destroy ends with 0.
        """
        command = [ENGINE, *arguments, "--stack", self.name]
        process = subprocess.Popen(command, cwd=PROJECT, env=self.environment)
        interruptions: list[int] = []
        previous = signal.signal(signal.SIGINT, lambda number, _: interruptions.append(number))
        try:
            code = process.wait()
        finally:
            signal.signal(signal.SIGINT, previous)
        if interruptions:
            raise KeyboardInterrupt
        return code

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs; empty before the first successful update. With `show_secrets` Pulumi
        decrypts secrets, which takes a second."""
        if show_secrets and self.exists():
            shown = self._quietly(
                "stack", "output", "--json", "--show-secrets", "--stack", self.name
            )
            found: dict[str, Any] = json.loads(shown or "{}")
            return found
        for resource in self.state().get("resources", []):
            if resource["type"] == "pulumi:pulumi:Stack":
                return dict(resource.get("outputs", {}))
        return {}

    def state(self) -> dict[str, Any]:
        """The stack's state, secrets encrypted; empty without one."""
        return backend.state(self.name)

    def state_text(self) -> bytes:
        """The file that holds the state; empty if the backend does not know the stack."""
        return backend.state_text(self.name)

    def holds(self, name: str) -> bool:
        """Whether the state has a resource with this logical name."""
        resources = self.state().get("resources", [])
        return any(resource["urn"].endswith(f"::{name}") for resource in resources)

    def unlock(self) -> None:
        """Clear up after an engine that was killed: its lock, its processes, its empty notes.

        Raises StepFailed if an engine works on the stack.
        """
        for lock, owner in backend.locks(self.name):
            if not _ends(owner):
                raise StepFailed(
                    f"Using the stack {self.name}",
                    why=f"pulumi (process {owner}) works on it",
                    advice="Wait until it has ended, or stop it with Ctrl-C where it was started.",
                )
            lock.unlink()
        end_leftovers()
        backend.remove_empty_notes(self.name)

    def remove(self) -> None:
        """Remove the destroyed stack from the backend, but keep its config file."""
        self._quietly("stack", "rm", "--yes", "--preserve-config", self.name)

    def _quietly(self, *arguments: str) -> str:
        return _quietly(self.environment, *arguments)


def _quietly(environment: Mapping[str, str], *arguments: str) -> str:
    """Run pulumi and return what it printed. Raises StepFailed."""
    done = subprocess.run(
        [ENGINE, *arguments, "--non-interactive"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise StepFailed(
            f"pulumi {arguments[0]}",
            why=(done.stderr or done.stdout).strip(),
            advice="Fix what the message names, then run the same command again.",
        )
    return done.stdout


def _commands() -> Path:
    """A folder with this lab's `pulumi`: the engine with a mark that all its processes inherit."""
    folder = state_root() / "bin"
    if shutil.which(ENGINE) != str(folder / ENGINE):  # else `lab exec` runs us
        mark = f"{ENGINE_MARK}={shlex.quote(str(state_root()))}"
        engine = shlex.quote(str(_engine() / ENGINE))
        _write_script(folder / ENGINE, f'export {mark}\nexec {engine} "$@"\n')
    return folder


def _engine() -> Path:
    """A folder with the engine and the language host side by side.

    The engine trusts a host that lies beside it, and warns about one that it finds on PATH.
    """
    names = (ENGINE, "pulumi-language-python")
    sources = [build.ensure_program(name) for name in names]
    if len(set(sources)) == 1:
        return sources[0]
    versions = [
        f"{source} {(source / name).stat().st_mtime_ns}"
        for source, name in zip(sources, names, strict=True)
    ]

    def put_together(folder: Path) -> None:
        folder.mkdir()
        for source in sources:
            for file in source.glob("pulumi*"):  # a folder of PATH may hold anything else
                shutil.copy(file, folder)

    entry = cache.Entry(kind="programs", name="engine", key=key_of(*versions))
    return cache.ensure(entry, put_together)


def _ends(engine: int) -> bool:
    """Tell whether this engine is gone; one that was killed gets a moment to end."""
    return comes_true(lambda: not runs(engine, ENGINE), patience=ENDING)


def _install_plugins() -> None:
    """Put the lab's plugins where the engine keeps downloaded ones.

    The lab uses the real command plugin if it is installed.
    """
    for name, (version, module) in PLUGINS.items():
        executable = f"pulumi-resource-{name}"
        path = _home() / "plugins" / f"resource-{name}-v{version}" / executable
        real = _installed(name, executable) if name == "command" else None
        program = [str(real)] if real else [sys.executable, "-m", module]
        _write_script(path, f'exec {shlex.join(program)} "$@"\n')


def _write_script(path: Path, text: str) -> None:
    """Put a shell script in place in one step: an interruption must not leave half of it."""
    whole = f"#!/bin/sh\n{text}"
    if path.exists() and path.read_text() == whole:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(whole)
    partial.chmod(0o755)
    partial.rename(path)


def _installed(name: str, executable: str) -> Path | None:
    """A real plugin on this machine: on PATH, or in the user's own Pulumi folder."""
    on_path = shutil.which(executable)
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    kept = sorted(home.glob(f"plugins/resource-{name}-v*/{executable}"))
    return Path(on_path) if on_path else kept[-1] if kept else None


def _home() -> Path:
    return state_root() / "pulumi"
