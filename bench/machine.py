"""Where and when a report was made."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime
from pathlib import Path

from tools.paths import PROJECT

BUSY = 0.5
"""A load average from which other work disturbs the measurements."""


def describe() -> str:
    """One line: version, time, processors, memory, kernel."""
    commit = _output("git", "describe", "--always", "--dirty") or "unknown version"
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    return (
        f"{commit} at {now} on {os.cpu_count()} cores, {_memory():.0f} GiB, "
        f"{platform.system()} {platform.release()}, Docker {_docker()}"
    )


def disturbance() -> tuple[str, ...]:
    """A warning if the machine does other work."""
    load = os.getloadavg()[0]
    if load < BUSY:
        return ()
    return (f"other programs used the machine before the run (load average {load:.1f})",)


def _memory() -> float:
    """GiB."""
    kibibytes = Path("/proc/meminfo").read_text().split()[1]
    return int(kibibytes) / 1024**2


def _docker() -> str:
    return _output("docker", "version", "--format", "{{.Server.Version}}") or "(unknown version)"


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    return done.stdout.strip()
