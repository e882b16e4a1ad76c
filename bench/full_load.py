"""As many GET requests as come through for a few seconds, by wrk: it costs less than what it asks.

Only for the lab's own addresses on this machine.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from bench.report.results import Latency
from tools.progress import StepFailed

SCRIPT = Path(__file__).with_name("wrk.lua")


def full_load(title: str, url: str, *, host: str, connections: int, seconds: int) -> Latency:
    """Each connection asks again when it has its answer. Raises StepFailed if all fail."""
    command = [
        *("wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{seconds}s", "--header", f"Host: {host}", "--script", str(SCRIPT), url),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    if done.returncode != 0:
        raise _failed(title, done.stdout + done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    answered = found["requests"] - found["failed"]
    if answered <= 0:
        raise _failed(title, f"none of {found['requests']} requests was answered as it should")
    return Latency(
        title=title,
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        requests=found["requests"],
        failed=found["failed"],
        per_second=answered / found["microseconds"] * 1_000_000,
    )


def _failed(title: str, why: str) -> StepFailed:
    return StepFailed(f"Loading {title}", why=why.strip(), advice="Ask the address with curl.")
