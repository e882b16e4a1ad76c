"""The next step of a global unit's rollout, one situation each."""

from __future__ import annotations

import pytest

from clients.fleet import DesiredState, Machine, UnitState
from cluster.platform.reconcile import (
    AwaitLoaded,
    AwaitRunning,
    Done,
    Launch,
    Load,
    ObservedUnit,
    Step,
    StopOthers,
    SwitchOver,
    next_step,
)

NEW, OLD = "router-22222222.service", "router-11111111.service"
MACHINES = tuple(
    Machine(id=name, primary_ip=f"10.0.0.{n}", metadata={}) for n, name in enumerate("abc", start=4)
)
INACTIVE, LOADED, LAUNCHED = DesiredState.INACTIVE, DesiredState.LOADED, DesiredState.LAUNCHED


def view(
    desired: dict[str, DesiredState], *, new: str = "---", old: str = "---", unit: str = NEW
) -> ObservedUnit:
    """`new` and `old` show each release on the nodes a, b, c: (-) none, (l)oaded, (r)unning."""
    states = [
        UnitState(
            name=name,
            machine_id=machine.id,
            load="loaded",
            active="active" if letter == "r" else "inactive",
            sub="running" if letter == "r" else "dead",
        )
        for name, letters in ((NEW, new), (OLD, old))
        for machine, letter in zip(MACHINES, letters, strict=True)
        if letter != "-"
    ]
    return ObservedUnit(unit=unit, desired=desired, states=tuple(states), machines=MACHINES)


@pytest.mark.parametrize(
    ("situation", "step"),
    [
        # the first release: fleet starts it everywhere
        (view({}), Launch()),
        (view({NEW: INACTIVE}), Launch()),
        (view({NEW: LAUNCHED}, new="lrr"), AwaitRunning()),
        (view({NEW: LAUNCHED}, new="rrr"), Done()),
        # a new release: loaded everywhere, then node by node
        (view({OLD: LAUNCHED}, old="rrr"), Load()),
        (view({OLD: LAUNCHED, NEW: INACTIVE}, old="rrr"), Load()),
        (view({OLD: LAUNCHED, NEW: LOADED}, old="rrr", new="ll-"), AwaitLoaded()),
        (view({OLD: LAUNCHED, NEW: LOADED}, old="rrr", new="lll"), SwitchOver(machine=MACHINES[0])),
        (view({OLD: LAUNCHED, NEW: LOADED}, old="lrr", new="rll"), SwitchOver(machine=MACHINES[1])),
        (view({OLD: LAUNCHED, NEW: LOADED}, old="lll", new="rrr"), StopOthers()),
        # the old release still runs on a node that joined meanwhile
        (view({OLD: LOADED, NEW: LOADED}, old="llr", new="rrr"), StopOthers()),
        (view({OLD: LOADED, NEW: LOADED}, old="lll", new="rrr"), Launch()),
        (view({OLD: LOADED, NEW: LAUNCHED}, old="lll", new="rrr"), Done()),
        # interrupted between stop and start on the first node
        (view({OLD: LAUNCHED, NEW: LOADED}, old="lrr", new="lll"), SwitchOver(machine=MACHINES[0])),
        # back to the old release after an interrupted rollout of the new one
        (
            view({OLD: LAUNCHED, NEW: LOADED}, old="lrr", new="rll", unit=OLD),
            SwitchOver(machine=MACHINES[0]),
        ),
        (view({OLD: LAUNCHED, NEW: LOADED}, old="rrr", new="rll", unit=OLD), StopOthers()),
        (view({OLD: LAUNCHED, NEW: LOADED}, old="rrr", new="lll", unit=OLD), Done()),
    ],
)
def test_next_step(situation: ObservedUnit, step: Step) -> None:
    assert next_step(situation) == step


@pytest.mark.parametrize(
    ("situation", "previous"),
    [
        (view({}), None),
        (view({NEW: LAUNCHED}, new="rrr"), None),
        (view({OLD: LAUNCHED, NEW: LOADED}, old="lll"), OLD),
        (view({OLD: LOADED, NEW: LOADED}, old="llr"), OLD),
        (view({OLD: LOADED, NEW: LOADED}, old="lll"), None),
    ],
)
def test_previous_release_is_what_fleet_launched_or_what_still_runs(
    situation: ObservedUnit, previous: str | None
) -> None:
    assert situation.previous == previous


def test_nodes_without_the_unit_are_named_with_their_state() -> None:
    lacking = view({NEW: LAUNCHED}, new="-lr").nodes_without(lambda state: state.is_running)

    assert lacking == "10.0.0.4: not loaded, 10.0.0.5: inactive (dead)"
