"""fleet starts 100 units that only sleep; for comparison, systemd starts them on one node."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence

from bench.report.results import Baseline, Figure, Result
from bench.session import Session
from bench.tunnel import to_node
from clients.clock import SystemClock
from clients.fleet import DesiredState, Fleet, UnitState, unit_file
from clients.fleet.wake import FleetWaker
from lab.machine.waiting import wait_until
from lab.scratch_stack import ScratchStack
from tools.progress import StepFailed

COUNT = 100
LIMIT = 10.0
PATIENCE = 120.0
PREFIX = "bench-small-"
UNIT = """
[Unit]
Description=Sleeps

[Service]
ExecStart=/usr/bin/sleep infinity
"""
# on one node, as root; the measured time leaves SSH out
DIRECTLY = f"""
began=$(date +%s%N)
for n in $(seq {COUNT}); do systemd-run --quiet --unit=bench-direct-$n sleep infinity; done
ended=$(date +%s%N)
systemctl stop 'bench-direct-*'
echo $(((ended - began) / 1000000))
"""


def measure(session: Session) -> Iterator[Result]:
    stack = session.stack
    node = stack.nodes[0]
    directly = float(stack.node(node, f"sudo sh -c {shlex.quote(DIRECTLY)}")) / 1000
    baseline = Baseline(
        title=f"systemd-run of {COUNT} sleeps on one node, one by one", value=directly
    )
    names = [f"{PREFIX}{number}.service" for number in range(1, COUNT + 1)]
    with to_node(stack, node) as apis:
        try:
            began = time.monotonic()
            _submit(apis.fleet, names)
            submitted = time.monotonic() - began
            _wait(apis.fleet, names[-1], DesiredState.LAUNCHED, _all_run)
            listed = time.monotonic() - began
            started = _last_start(stack) - began
        finally:
            began = time.monotonic()
            _remove(apis.fleet, names)
            removed = time.monotonic() - began
    yield Figure(
        title=f"fleet starts {COUNT} small units",
        unit="s",
        samples=(started,),
        limit=LIMIT,
        baselines=(baseline,),
        note="one by one through the API of one node; fleet is woken as in rollouts; "
        f"all accepted after {submitted:.1f} s, all listed as running after {listed:.1f} s",
    )
    yield Figure(title=f"fleet stops and removes {COUNT} small units", unit="s", samples=(removed,))


def _submit(fleet: Fleet, names: Sequence[str]) -> None:
    options = unit_file.parse(UNIT, origin="small unit")
    for name in names:
        fleet.create(name, options, DesiredState.LAUNCHED)


def _remove(fleet: Fleet, names: Sequence[str]) -> None:
    known = [name for name in names if fleet.unit(name) is not None]
    for name in known:
        fleet.set_desired(name, DesiredState.INACTIVE)
    if known:
        _wait(
            fleet,
            known[-1],
            DesiredState.INACTIVE,
            lambda states: all(one.is_dead for one in states),
        )
    fleet.destroy(known)


def _all_run(states: Sequence[UnitState]) -> bool:
    return sum(one.is_running for one in states) == COUNT


def _wait(
    fleet: Fleet,
    last: str,
    desired: DesiredState,
    condition: Callable[[Sequence[UnitState]], bool],
) -> None:
    """Wait until fleet reports the wanted states of our units. The `last` unit wakes fleet, as in
    rollouts."""
    waker = FleetWaker(fleet, SystemClock())

    def is_done() -> bool:
        if condition([one for one in fleet.states() if one.name.startswith(PREFIX)]):
            return True
        waker.repeat(last, desired)
        return False

    wait_until(
        is_done,
        patience=PATIENCE,
        failure=lambda: StepFailed(
            f"Starting or stopping {COUNT} units",
            why=f"not all are {desired} after {PATIENCE:.0f} s",
            advice="Look at `fleetctl list-units` on a node.",
        ),
    )


def _last_start(stack: ScratchStack) -> float:
    """When the last of our units became active, on the clock of time.monotonic().

    Containers share the machine's monotonic clock, and systemd records times on it.
    """
    show = f"systemctl show '{PREFIX}*' --property=ActiveEnterTimestampMonotonic --value"
    times = [int(one) for node in stack.nodes for one in stack.node(node, show).split()]
    return max(times) / 1_000_000
