"""Unmounts what a Docker daemon of the lab left mounted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def unmount_below(*places: Path) -> None:
    """Unmount everything at and below these folders."""
    roots = [place.resolve() for place in places]
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    for line in reversed(lines):  # the last mount is on top
        number, _parent, _device, _root, place = line.split()[:5]
        path = Path(place)
        if any(path.is_relative_to(root) for root in roots) and _mount_of(path) == number:
            subprocess.run(["umount", path], check=True)


def _mount_of(path: Path) -> str | None:
    """The number of the mount at this path; None if the path does not exist.

    A listed mount may be hidden below another one.
    """
    try:
        descriptor = os.open(path, os.O_PATH)
    except FileNotFoundError:
        return None
    try:
        facts = Path(f"/proc/self/fdinfo/{descriptor}").read_text().split()
    finally:
        os.close(descriptor)
    return facts[facts.index("mnt_id:") + 1]
