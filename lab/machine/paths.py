"""The lab's state folder (XDG Base Directory Specification), for what cannot be made again.

What can be made again is in the cache (tools/paths.py).
"""

from __future__ import annotations

import os
from pathlib import Path

from tools.paths import PROJECT, cache_root

__all__ = ["PROJECT", "cache_root", "state_root"]


def state_root() -> Path:
    """Pulumi's state and the keys of the running lab, in a folder that only the user can read."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "state") / "fleet-azure"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
