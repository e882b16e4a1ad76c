"""Keys by content: the same inputs give the same key on every machine."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

KEY_LENGTH = 12
IGNORED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "node_modules"})


def key_of(*parts: str | bytes) -> str:
    """Return a short key of these parts. It depends on their order and on where each ends."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()[:KEY_LENGTH]


def key_of_tree(root: Path) -> str:
    """Return the key of all files below `root`: their paths, execute bits and contents."""
    parts: list[str | bytes] = []
    for path in files_below(root):
        executable = "x" if os.access(path, os.X_OK) else "-"
        parts += [path.relative_to(root).as_posix(), executable, path.read_bytes()]
    return key_of(*parts)


def files_below(root: Path) -> Iterator[Path]:
    """Yield the source files below `root` in a fixed order."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and is_source(path.relative_to(root)):
            yield path


def is_source(path: Path) -> bool:
    """Tell whether a path is part of the project, not written by a tool."""
    return IGNORED.isdisjoint(path.parts)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
