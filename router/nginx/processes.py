"""Reads processes from /proc: nginx shows the state of its workers only in their titles."""

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


def age_rank(process: int) -> int:
    """A number that is smaller for older processes; 0 if the process is gone."""
    fields = _fields(_PROC / str(process))
    return int(fields[19]) if fields else 0


def own_memory(process: int) -> int:
    """The bytes of memory that belong to no file; 0 if the process is gone."""
    try:
        status = (_PROC / str(process) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    (line,) = [line for line in status.splitlines() if line.startswith("RssAnon:")] or [""]
    return int(line.split()[1]) * 1024 if line else 0


def _parent(entry: Path) -> int | None:
    fields = _fields(entry)
    return int(fields[1]) if fields else None


def _fields(entry: Path) -> list[str]:
    """proc(5)'s stat from the third field on, `state`; empty if the process is gone."""
    try:
        stat = (entry / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # "pid (name) state ppid …", where the name may hold spaces and parentheses
    return stat.rpartition(")")[2].split()
