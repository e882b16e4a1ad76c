"""Where and when a report was made: figures mean little without."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime
from pathlib import Path

from tools.paths import PROJECT

BUSY = 0.5
"""A load average from which on others are taken to disturb the measurements."""


def describe() -> str:
    """One line: version, time, processors, memory, kernel."""
    commit = _said("git", "describe", "--always", "--dirty") or "unknown version"
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    return (
        f"{commit} at {now} on {os.cpu_count()} cores, {_memory():.0f} GiB, "
        f"{platform.system()} {platform.release()}, Docker {_docker()}"
    )


def disturbance() -> tuple[str, ...]:
    """What else goes on here, if it is much."""
    load = os.getloadavg()[0]
    if load < BUSY:
        return ()
    return (f"the machine was busy before this began (load average {load:.1f}): all is slower",)


def _memory() -> float:
    """GiB."""
    kibibytes = Path("/proc/meminfo").read_text().split()[1]
    return int(kibibytes) / 1024**2


def _docker() -> str:
    return _said("docker", "version", "--format", "{{.Server.Version}}") or "of unknown version"


def _said(*command: str) -> str:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    return done.stdout.strip()
