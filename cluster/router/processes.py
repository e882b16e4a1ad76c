"""Looks up processes in /proc: nginx tells the state of its workers by their titles only."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def children(parent: int) -> frozenset[int]:
    """The processes whose parent is `parent`."""
    return frozenset(
        int(entry.name)
        for entry in _PROC.iterdir()
        if entry.name.isdecimal() and _parent(entry) == parent
    )


def title(process: int) -> str:
    """A process's command line, as nginx writes it; empty if the process is gone."""
    try:
        raw = (_PROC / str(process) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def _parent(entry: Path) -> int | None:
    try:
        stat = (entry / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended while we looked
    # "pid (name) state ppid …", where the name may hold spaces and parentheses
    return int(stat.rpartition(")")[2].split()[1])
