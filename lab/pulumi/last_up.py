"""Tells whether an `up` repeats the last successful one.

Pulumi runs the program twice: for a preview, which refuses what cannot work before anything
changes, and for the update. If program, config, state and lab are the same as after the last `up`,
the preview cannot find anything new, so one run is enough.
"""

from __future__ import annotations

import json
from pathlib import Path

from lab.machine.paths import PROJECT, state_root
from lab.pulumi import sample_secrets, stack_config
from lab.pulumi.engine import Stack
from tools.content_key import key_of, key_of_tree

FILES = ("__main__.py", "Pulumi.yaml", "requirements.txt", ".artefacts/manifest.json")
FOLDERS = ("components", "contract", "settings", "cloud-config", "units", "lab")
"""The program, and the lab, whose plugins and Azure accept or refuse what the program asks for."""


def is_repeated(stack: Stack) -> bool:
    """Whether program, config, state and lab are the same as after the last `up`."""
    file = _file(stack.name)
    return file.exists() and file.read_text() == _key(stack)


def remember(stack: Stack) -> None:
    """Record a successful update."""
    _file(stack.name).write_text(_key(stack))


def forget(stack_name: str) -> None:
    _file(stack_name).unlink(missing_ok=True)


def _key(stack: Stack) -> str:
    files = [*(PROJECT / name for name in FILES), stack_config.path(stack.name)]
    return key_of(
        *(file.read_bytes() for file in files),
        *(key_of_tree(PROJECT / name) for name in FOLDERS),
        json.dumps(sample_secrets.made_up(stack.name), sort_keys=True),
        stack.state_text(),
    )


def _file(stack_name: str) -> Path:
    folder = state_root() / "last-up"
    folder.mkdir(exist_ok=True)
    return folder / stack_name
