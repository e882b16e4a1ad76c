"""The real Pulumi engine, with the lab in Azure's place.

The program is not touched and told nothing: the engine has a home of its own, whose plugins are
the lab's.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.machine.endpoints import Endpoints
from lab.machine.paths import PROJECT, state_root
from lab.machine.processes import ENGINE, ENGINE_MARK, end_leftovers, runs
from lab.pulumi import sample_secrets, stack_config
from tools import build, cache
from tools.content_key import key_of
from tools.progress import StepFailed

PASSPHRASE = "lab"
"""Encrypts the secrets of the lab's stacks, whose keys protect nothing but containers."""

ENDING = 5.0
"""Seconds that an engine which was killed may take to be gone."""

PLUGINS = {
    "azure-native": ("3.29.0", "lab.providers.azure_native"),
    "command": ("1.2.1", "lab.providers.command"),
}
"""Package → the version that the program's SDK asks for, and the module that plays it."""


def environment(endpoints: Endpoints) -> dict[str, str]:
    """The variables under which any command (pulumi, curl, …) sees the lab as Azure."""
    _install_plugins()
    inherited = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    return {
        **inherited,  # an agent's keys are offered first, and too many refused keys end a login
        "PATH": f"{_commands()}:{os.environ['PATH']}",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PYTHONPATH": str(PROJECT),
        "PULUMI_HOME": str(_home()),
        "PULUMI_BACKEND_URL": f"file://{_backend()}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_SELF_MANAGED_STATE_GZIP": "false",  # the lab reads it
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "LAB_API_URL": endpoints.api_url,
        "LAB_API_TOKEN": endpoints.api_token,
        "LAB_BLOB_ENDPOINT": endpoints.blob_endpoint,
        "LAB_CA": endpoints.ca_file,
    }


def lent_secrets(stack_name: str) -> dict[str, str]:
    """The variable that lends a stack the secrets which its config lacks, if there are any."""
    file = sample_secrets.config_file(stack_name, PASSPHRASE)
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
        self.environment |= lent_secrets(self.name)

    def exists(self) -> bool:
        """Whether the backend knows the stack."""
        return _checkpoint(self.name).exists()

    def run(self, *arguments: str) -> int:
        """Run pulumi with the user watching; return its exit code.

        Ctrl-C reaches pulumi too, which then lets running operations end: we wait for it, since a
        killed engine would leave its state behind the cloud's. Then it is raised here, whatever
        the exit code: that of a destroy cut short is 0.
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
        """The stack's outputs; empty before the first successful update. Secrets are encrypted
        unless they are to be shown, for which Pulumi has to be asked."""
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
        """The stack's state as `pulumi stack export` has it, secrets encrypted; empty without one.

        Read from the backend's file: asking Pulumi takes half a second each time.
        """
        text = self.state_text()
        found: dict[str, Any] = json.loads(text)["checkpoint"]["latest"] if text else {}
        return found or {}

    def state_text(self) -> bytes:
        """The backend's file of the stack; empty if the backend does not know it."""
        file = _checkpoint(self.name)
        return file.read_bytes() if file.exists() else b""

    def holds(self, name: str) -> bool:
        """Whether the state has a resource of this logical name."""
        resources = self.state().get("resources", [])
        return any(resource["urn"].endswith(f"::{name}") for resource in resources)

    def unlock(self) -> None:
        """Clear away after an engine that is no longer there (killed, or the machine died): its
        lock, what it left running, and what keeps its state from being read.

        Raises StepFailed if one is at work.
        """
        for lock in (_backend() / ".pulumi" / "locks").glob(f"**/{self.name}/*.json"):
            owner = int(json.loads(lock.read_text())["pid"])
            if not _ends(owner):
                raise StepFailed(
                    f"Using the stack {self.name}",
                    why=f"pulumi (process {owner}) is at work on it",
                    advice="Wait until it has ended, or stop it with Ctrl-C where it was started.",
                )
            lock.unlink()
        end_leftovers()
        self._mend()

    def _mend(self) -> None:
        """An engine that dies while it writes may leave the backend's notes on a file empty.

        The state itself is replaced in one step and stays whole; without notes it is read, too.
        """
        for notes in _checkpoint(self.name).parent.glob(f"{self.name}.json*.attrs"):
            if notes.stat().st_size == 0:
                notes.unlink()

    def remove(self) -> None:
        """Forget the destroyed stack, but keep its config file."""
        self._quietly("stack", "rm", "--yes", "--preserve-config", self.name)

    def _quietly(self, *arguments: str) -> str:
        done = subprocess.run(
            [ENGINE, *arguments, "--non-interactive"],
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


def _commands() -> Path:
    """A folder with the `pulumi` of this lab: the engine, which marks all that it starts."""
    folder = state_root() / "bin"
    if shutil.which(ENGINE) != str(folder / ENGINE):  # else we are inside of `lab exec`
        mark = f"{ENGINE_MARK}={shlex.quote(str(state_root()))}"
        engine = shlex.quote(str(_engine() / ENGINE))
        _write_script(folder / ENGINE, f'export {mark}\nexec {engine} "$@"\n')
    return folder


def _engine() -> Path:
    """A folder with the engine and the language host side by side.

    The engine takes what lies beside it for its own. A host found on PATH draws a warning instead.
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
    """Whether this engine is gone, or goes now: one that was killed needs a moment."""
    deadline = time.monotonic() + ENDING
    while runs(engine, ENGINE):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _checkpoint(stack: str) -> Path:
    return _backend() / ".pulumi" / "stacks" / "fleet" / f"{stack}.json"


def _backend() -> Path:
    folder = state_root() / "stacks"
    folder.mkdir(exist_ok=True)
    return folder


def _install_plugins() -> None:
    """Put the plugins that the lab plays where the engine keeps downloaded ones.

    Where the real command plugin is installed, the lab uses that one.
    """
    for name, (version, module) in PLUGINS.items():
        executable = f"pulumi-resource-{name}"
        path = _home() / "plugins" / f"resource-{name}-v{version}" / executable
        real = _installed(name, executable) if name == "command" else None
        program = [str(real)] if real else [sys.executable, "-m", module]
        _write_script(path, f'exec {shlex.join(program)} "$@"\n')


def _write_script(path: Path, text: str) -> None:
    """Put a shell script in place as a whole: whoever interrupts us leaves no half of it."""
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
