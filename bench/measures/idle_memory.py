"""Memory of an idle node: the whole platform, no instance of a service."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.memory import biggest, working_memory
from bench.report.results import Breakdown, Figure, Result
from bench.session import Session
from lab.commands import shell
from lab.machine.endpoints import find
from tools.progress import StepFailed

LIMIT = 350.0
SETTLE = 20.0
"""Seconds after the last change, in which programs free what starting took."""
SHOWN = 10


def measure(session: Session) -> Iterator[Result]:
    stack = session.stack
    busy = {one["machine"] for one in stack.instances()}
    vms = shell.vms(find(session.client), stack.name)
    idle = [one for one in vms if one["node"] not in busy]
    if not idle:
        raise StepFailed(
            "Measuring an idle node",
            why=f"every node runs an instance ({', '.join(sorted(map(str, busy)))})",
            advice="Run it again: fleet chooses the nodes of instances.",
        )
    time.sleep(SETTLE)
    yield Figure(
        title="memory of an idle node",
        unit="MiB",
        samples=tuple(working_memory(session.client, one["container"]) for one in idle),
        limit=LIMIT,
        baselines=(session.baselines.memory,),
        note="without page cache; etcd, fleet, docker, announcer, registry and router run on it",
    )
    node = idle[0]["node"]
    yield Breakdown(
        title="Memory of an idle node by program",
        remark="Private memory only: neither code nor what the kernel keeps.",
        unit="MiB",
        parts=biggest(
            stack.node(node, "ps -eo pid=,args="),
            # a process may end while it is read
            stack.node(node, "sudo sh -c 'grep -sH ^Anonymous: /proc/[0-9]*/smaps_rollup || true'"),
            SHOWN,
        ),
    )
