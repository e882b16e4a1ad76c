"""GET requests by wrk, which costs less than the servers that it asks.

Only for the lab's own addresses on this machine.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.report.results import Latency
from tools.progress import StepFailed

SCRIPT = Path(__file__).with_name("wrk.lua")
STREAMS = 5
"""Connections of a stream: a slow answer does not hold up the others."""
TIMEOUT = 10
"""Seconds."""


def full_load(title: str, url: str, *, host: str, connections: int, seconds: int) -> Latency:
    """As many requests as the server answers: each connection asks again when it has its answer.

    Raises StepFailed if no request is answered as it should be.
    """
    command = [
        *("wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{seconds}s", "--header", f"Host: {host}", "--script", str(SCRIPT), url),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    return _read(title, done.returncode, done.stdout, done.stderr)[0]


class Stream:
    """A steady stream of requests, each on a new connection, until `stop`."""

    def __init__(self, title: str, url: str, *, per_second: float) -> None:
        self._title = title
        pause = STREAMS / per_second * 1000
        command = [
            *("wrk", "--threads", "1", "--connections", str(STREAMS)),
            *("--duration", "24h", "--timeout", f"{TIMEOUT}s", "--script", str(SCRIPT), url),
            *("--", f"{pause:.0f}"),
        ]
        self._wrk = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us
        )
        self.errors = ""
        """After `stop`: the failed requests by kind, such as `2 connect, 1 status`."""

    def stop(self) -> Latency:
        """End the stream and return what was measured. Raises StepFailed as `full_load` does."""
        self._wrk.send_signal(signal.SIGINT)
        output, errors = self._wrk.communicate(timeout=TIMEOUT + 30)
        load, self.errors = _read(self._title, self._wrk.returncode, output, errors)
        return load

    def kill(self) -> None:
        """End it without a result, if it still runs."""
        self._wrk.kill()
        self._wrk.communicate()


@contextmanager
def stream(title: str, url: str, *, per_second: float) -> Iterator[Stream]:
    """A stream for the length of a block, which ends with `stop`."""
    running = Stream(title, url, per_second=per_second)
    try:
        yield running
    finally:
        running.kill()


def _read(title: str, code: int, output: str, errors: str) -> tuple[Latency, str]:
    """What wrk printed: the latency, and the failed requests by kind."""
    if code != 0:
        raise _failed(title, output + errors)
    found = json.loads(output.splitlines()[-1])
    kinds = {kind: count for kind, count in found["errors"].items() if count}
    failed = sum(kinds.values())
    answered = found["requests"] - found["errors"]["status"]
    if answered <= 0:
        raise _failed(title, f"none of {answered + failed} requests was answered as it should be")
    latency = Latency(
        title=title,
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        requests=answered + failed,
        failed=failed,
        per_second=answered / found["microseconds"] * 1_000_000,
    )
    return latency, ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _failed(title: str, why: str) -> StepFailed:
    return StepFailed(f"Loading {title}", why=why.strip(), advice="Ask the address with curl.")
