"""Where things are: the project's own folder, and the cache shared by all its clones."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def cache_root() -> Path:
    """Return the project's cache folder (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fleet-azure"
