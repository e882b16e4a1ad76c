"""Whether an `up` is the same as the last one that went through.

Pulumi runs the program twice: for a preview, so that what can't work is refused before anything is
touched, and for the update. When all that decides what happens is as it was then, the preview can
say nothing new, and one run is enough.
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
"""What the program is made of, and the lab: its plugins and cloud judge what the program wants."""


def is_repeated(stack: Stack) -> bool:
    """Whether program, config, state and lab are what they were after the last `up`."""
    file = _file(stack.name)
    return file.exists() and file.read_text() == _key(stack)


def remember(stack: Stack) -> None:
    """The update went through."""
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
