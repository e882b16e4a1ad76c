"""Where the lab keeps what it can't make again: one state folder, by XDG's rules.

What can be made again lies in the cache (tools/paths.py).
"""

from __future__ import annotations

import os
from pathlib import Path

from tools.paths import PROJECT, cache_root

__all__ = ["PROJECT", "cache_root", "state_root"]


def state_root() -> Path:
    """Pulumi's state of the lab's stacks, and how to reach the running lab; only for its owner."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "state") / "fleet-azure"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
