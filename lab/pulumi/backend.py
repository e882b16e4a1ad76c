"""Pulumi's file backend as the lab reads it: states, locks, and the notes beside them.

These are Pulumi's own files. Asking Pulumi instead (`stack ls`, `stack export`, `stack output`)
takes half a second of processor time each, of the seven that an unchanged `make up` takes. Nor
does `pulumi cancel` tell whether the engine that holds a lock still runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.machine.paths import state_root

PROJECT_NAME = "fleet"


def root() -> Path:
    """The folder that Pulumi is given as its backend."""
    folder = state_root() / "stacks"
    folder.mkdir(exist_ok=True)
    return folder


def stacks_left() -> list[str]:
    """The names of the stacks that the backend holds."""
    return sorted(path.stem for path in _states().glob("*.json"))


def has(stack_name: str) -> bool:
    return _state_file(stack_name).exists()


def state(stack_name: str) -> dict[str, Any]:
    """A stack's state as `pulumi stack export` prints it, secrets encrypted; empty without one."""
    text = state_text(stack_name)
    found: dict[str, Any] = json.loads(text)["checkpoint"]["latest"] if text else {}
    return found or {}


def state_text(stack_name: str) -> bytes:
    """The file that holds a stack's state; empty if the backend does not know the stack."""
    file = _state_file(stack_name)
    return file.read_bytes() if file.exists() else b""


def locks(stack_name: str) -> Iterator[tuple[Path, int]]:
    """Yield the files that lock a stack, each with the process id of the engine that wrote it."""
    for lock in (root() / ".pulumi" / "locks").glob(f"**/{stack_name}/*.json"):
        yield lock, int(json.loads(lock.read_text())["pid"])


def remove_empty_notes(stack_name: str) -> None:
    """Remove notes on a stack's file that a dying engine left empty: they stop Pulumi.

    The engine replaces the state itself in one step, and reads it without notes as well.
    """
    for notes in _states().glob(f"{stack_name}.json*.attrs"):
        if notes.stat().st_size == 0:
            notes.unlink()


def _state_file(stack_name: str) -> Path:
    return _states() / f"{stack_name}.json"


def _states() -> Path:
    return root() / ".pulumi" / "stacks" / PROJECT_NAME
