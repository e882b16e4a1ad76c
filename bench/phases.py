"""Where `make up` spends its time, read from what it prints. Pure.

If the first line of a phase has changed its wording, its time counts as the phase before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.report.results import Part
from bench.running import Line

START = "checks for what is missing"
PHASES = (
    (r"Starting the simulated Azure …", "the simulated Azure starts"),
    (r"^Previewing update", "preview"),
    (r"^Updating", "Azure's resources, images to blobs"),
    (r"VirtualMachineScaleSet \S+ creating", "nodes are created"),
    (r"fleet-ready creating", "nodes boot, etcd and fleet form"),
    (r"fleet-platform creating", "announcer, registry and router on every node"),
    (r"fleet-platform created", "the update ends"),
    (r"Building and pushing", "the example app is pushed"),
    (r"^Previewing update", "preview with the service"),
    (r"hello-rollout creating", "the service's instances start"),
    (r"hello-rollout created", "the update ends, next steps are printed"),
)
"""The line that a phase begins with, and its name, in order."""


def phases(lines: Sequence[Line], seconds: float) -> tuple[Part, ...]:
    """The phases of a run of this many seconds, one after the other."""
    began = [(0.0, START)]
    following = 0
    for line in lines:
        for number in range(following, len(PHASES)):
            pattern, name = PHASES[number]
            if re.search(pattern, line.text):
                began.append((line.at, name))
                following = number + 1
                break
    ends = [at for at, _ in began[1:]] + [seconds]
    return tuple(
        Part(title=name, start=at, value=end - at)
        for (at, name), end in zip(began, ends, strict=True)
    )


def between(lines: Sequence[Line], first: str, last: str) -> float | None:
    """Seconds from the first line that matches one pattern to the first that matches the other."""
    start = next((line.at for line in lines if re.search(first, line.text)), None)
    end = next((line.at for line in lines if re.search(last, line.text)), None)
    return None if start is None or end is None else end - start
