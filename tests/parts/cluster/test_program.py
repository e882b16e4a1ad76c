"""The program as a process: exit status, last line, signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
NODE = {
    "NODE_NAME": "core-0",
    "NODE_IP": "127.83.61.200",  # no node has it
    "CLUSTER_NAME": "fleet-test",
    "CLUSTER_SIZE": "3",
    "DATA_ACCOUNT": "nobody",
    "IDENTITY_CLIENT_ID": "nobody",
}


def start(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cluster", *arguments],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_unknown_verb_lists_the_known_ones() -> None:
    _, errors = (process := start("destroy", environment=NODE)).communicate(timeout=60)

    assert process.returncode == 1
    assert errors == (
        "error: say one of: "
        "bootstrap, wait, platform, certificates, apply, remove, settle, status\n"
    )


def test_missing_environment_is_reported() -> None:
    _, errors = (process := start("status", environment={})).communicate(timeout=60)

    assert process.returncode == 1
    assert errors.startswith("error: CLUSTER_SIZE is not set; NODE_NAME is not set")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_program_cleanly(number: signal.Signals) -> None:
    process = start("wait", environment=NODE)
    assert process.stdin is not None
    process.stdin.write('{"size": 3, "timeout": 600}')
    process.stdin.close()
    assert process.stdout is not None
    assert "waiting for etcd" in process.stdout.readline()

    process.send_signal(number)

    assert process.wait(timeout=60) == 130
    assert process.stderr is not None
    assert process.stderr.read() == f"error: interrupted by {number.name}; run it again to finish\n"
