"""The cache: finished files and folders by name and key. An unfinished one is never visible.

An entry is made at a `.partial` path, which is renamed when it is complete. Each entry has a lock,
so two builds can run side by side; the kernel drops a lock when its process ends.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.paths import cache_root

KEPT_VERSIONS = 4

Maker = Callable[[Path], None]
"""Makes an entry, a file or a folder, at this path."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file or a folder in the cache, such as programs/etcd-3f2a… or images/node-91bc….tar.gz."""

    kind: str
    name: str
    key: str
    suffix: str = ""

    @property
    def path(self) -> Path:
        return cache_root() / self.kind / f"{self.name}-{self.key}{self.suffix}"


def ensure(entry: Entry, make: Maker) -> Path:
    """Return the entry's path, after `make` has made the entry if it was missing."""
    path = entry.path
    if not path.exists():
        with _locked(path):
            if not path.exists():  # another build may have made it while we waited
                partial = path.with_name(path.name + ".partial")
                _remove(partial)
                try:
                    make(partial)
                    partial.rename(path)
                finally:
                    _remove(partial)
                _forget_old_versions(entry)
    os.utime(path)
    return path


def new_log(name: str) -> Path:
    """Return an empty file for the output of a step; it replaces that of the last run."""
    path = cache_root() / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    locks = cache_root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / f"{path.parent.name}-{path.name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _forget_old_versions(entry: Entry) -> None:
    """Remove all versions but those used last: every change of the code makes a new one."""
    key = "?" * len(entry.key)
    versions = entry.path.parent.glob(f"{entry.name}-{key}{entry.suffix}")
    newest_first = sorted(versions, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[KEPT_VERSIONS:]:
        _remove(path)
