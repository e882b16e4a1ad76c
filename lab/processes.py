"""Whether a process of the lab's still runs, by number and name."""

from __future__ import annotations

from pathlib import Path


def runs(pid: int, name: str) -> bool:
    """Whether this process is there, is that program, and is not merely waiting to be reaped.

    The name is checked because after a restart of the machine another may have its number.
    """
    folder = Path("/proc") / str(pid)
    try:
        found = (folder / "comm").read_text().strip()
        state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return found == name and state not in "ZX"
