"""The next step in the rollout of a global unit. Pure; every rule of it is here.

fleet starts and stops a global unit on all nodes together. So the new release is only loaded, then
the nodes switch over one after another, and at the end fleet's desired state is set to match.
Called after each step, `next_step` also finishes an interrupted rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clients.fleet import DesiredState, Machine, UnitState


@dataclass(kw_only=True, frozen=True)
class ObservedUnit:
    """A global unit on every node at one moment, with its other releases."""

    unit: str
    desired: Mapping[str, DesiredState]  # what fleet should do with each release
    states: tuple[UnitState, ...]
    machines: tuple[Machine, ...]

    @property
    def others(self) -> list[str]:
        """Other releases of the unit that fleet has."""
        return sorted(name for name in self.desired if name != self.unit)

    @property
    def is_launched(self) -> bool:
        """Whether fleet starts the unit on every node, also on new ones."""
        return self.desired.get(self.unit) is DesiredState.LAUNCHED

    @property
    def previous(self) -> str | None:
        """The release that serves until now: the one that fleet launched, else one that an
        interrupted rollout has started on a node."""
        alive = {state.name for state in self.states if not state.is_dead}
        launched = [n for n in self.others if self.desired[n] is DesiredState.LAUNCHED]
        return next(iter(launched or [name for name in self.others if name in alive]), None)

    def runs_on(self, name: str, machine: Machine) -> bool:
        """Whether systemd runs the release `name` on that node."""
        return any(
            state.is_running
            for state in self.states
            if state.name == name and state.machine_id == machine.id
        )

    def is_dead(self, names: list[str]) -> bool:
        """Whether no node runs any of these releases."""
        return all(state.is_dead for state in self.states if state.name in names)

    def nodes_without(self, condition: Callable[[UnitState], bool]) -> str:
        """The nodes where the unit has another state, with that state. Empty if none."""
        states = {state.machine_id: state for state in self.states if state.name == self.unit}
        lacking = []
        for machine in self.machines:
            state = states.get(machine.id)
            if state is None:
                lacking.append(f"{machine.primary_ip}: not loaded")
            elif not condition(state):
                lacking.append(f"{machine.primary_ip}: {state.active} ({state.sub})")
        return ", ".join(lacking)


def is_loaded(state: UnitState) -> bool:
    return state.load == "loaded"


def is_running(state: UnitState) -> bool:
    return state.is_running


@dataclass(kw_only=True, frozen=True)
class Load:
    """Put the unit into fleet, not started."""


@dataclass(kw_only=True, frozen=True)
class AwaitLoaded:
    """Wait until every node has the unit's file."""


@dataclass(kw_only=True, frozen=True)
class SwitchOver:
    """Stop the other releases on this node and start the unit."""

    machine: Machine


@dataclass(kw_only=True, frozen=True)
class StopOthers:
    """Order fleet to stop the other releases wherever they run."""


@dataclass(kw_only=True, frozen=True)
class Launch:
    """Order fleet to run the unit on every node, and wait until it does."""


@dataclass(kw_only=True, frozen=True)
class AwaitRunning:
    """Wait until fleet has started the unit on every node."""


@dataclass(kw_only=True, frozen=True)
class Done:
    """The unit runs on every node, and no other release does."""


Step = Load | AwaitLoaded | SwitchOver | StopOthers | Launch | AwaitRunning | Done


def next_step(view: ObservedUnit) -> Step:
    """What brings the unit closer to running on every node, with one node without it at a time."""
    if not view.is_launched and view.previous is None:
        return Launch()
    if view.desired.get(view.unit, DesiredState.INACTIVE) is DesiredState.INACTIVE:
        return Load()
    if view.others:
        if view.nodes_without(is_loaded):
            return AwaitLoaded()
        for machine in view.machines:
            if not view.runs_on(view.unit, machine):
                return SwitchOver(machine=machine)
        # fleet has started an old release on a node that joined meanwhile
        is_any_launched = DesiredState.LAUNCHED in (view.desired[name] for name in view.others)
        if is_any_launched or not view.is_dead(view.others):
            return StopOthers()
    return AwaitRunning() if view.nodes_without(is_running) else Done()
