"""The project's folder, and the cache that all its clones share."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def cache_root() -> Path:
    """Return the project's cache folder (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fleet-azure"
