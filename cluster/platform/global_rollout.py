"""Carries out the steps of `reconcile`: replaces a global unit node by node.

Units of the platform are global so that fleet starts them on every new node. Every decision follows
what systemd reports on each node, so the next rollout finishes an interrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clients.errors import ClusterError
from clients.etcd.lock import Lock, LockLost
from clients.fleet import DesiredState, Machine, Option
from clients.fleet.wake import FleetWaker
from clients.waiting import wait_until
from cluster.context import ClusterContext
from cluster.platform.global_unit import GlobalUnit
from cluster.platform.readiness import current_index, missing_on_node
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
    is_loaded,
    is_running,
    next_step,
)
from cluster.platform.switchover import is_switchover, switchover_name, switchover_options
from contract.requests import image_of

_PLATFORM_IMAGE = "/opt/bin/platform-image"
_TEST = "/usr/bin/test"
MOST_REPEATS = 5  # of one step in a row


class GlobalRollout:
    """Brings one global unit to its release on every node, under the platform's lock."""

    def __init__(
        self, context: ClusterContext, unit: GlobalUnit, lock: Lock, *, timeout: float
    ) -> None:
        self._context = context
        self._unit = unit
        self._fleet = context.fleet
        self._lock = lock
        self._timeout = timeout
        self._ordered: tuple[str, DesiredState] | None = None  # fleet's latest order

    def run(self) -> None:
        """Raises ClusterError; the release before runs then."""
        self._discard_switchovers()
        view = self._look()
        if view.is_launched and not view.others:
            self._await_running()
            self._say(f"unchanged ({self._unit.name})")
            return
        self._say(_summary(view))
        if isinstance(step := next_step(view), Load):
            self._take(step)  # if this fails there is nothing to go back from
        # a rollout that goes back to what fleet launched has nothing to go back to itself
        with self._undone_on_failure(None if view.is_launched else view.previous):
            self._converge()
        self._remove(view.others)
        self._say(f"{self._unit.name} runs on every node")

    def _converge(self) -> None:
        """Take step after step until the unit runs on every node."""
        before: Step | None = None
        repeated = 0
        while not isinstance(step := next_step(self._look()), Done):
            repeated = repeated + 1 if step == before else 0
            if repeated > MOST_REPEATS:
                raise ClusterError(f"{self._unit.name} makes no progress: {step} has no effect")
            before = step
            self._take(step)

    def _take(self, step: Step) -> None:
        match step:
            case Load():
                self._create(DesiredState.LOADED)
            case AwaitLoaded():
                self._until(lambda: self._waiting_for(is_loaded, "loaded"))
            case SwitchOver(machine=machine):
                self._switch_over(machine)
            case StopOthers():
                self._stop(self._look().others)
            case Launch():
                self._create(DesiredState.LAUNCHED)
                self._await_running()
            case AwaitRunning():
                self._await_running()

    @contextmanager
    def _undone_on_failure(self, previous: str | None) -> Iterator[None]:
        """Start `previous` again wherever it was stopped if the rollout fails."""
        try:
            yield
        except LockLost:
            raise
        except ClusterError as error:
            if previous is None:
                raise
            self._go_back(previous)
            raise ClusterError(f"{error}; {previous} runs again everywhere") from error

    def _go_back(self, previous: str) -> None:
        self._say(f"going back to {previous}")
        view = self._look()
        others = [name for name in (self._unit.name, *view.others) if name != previous]
        for machine in view.machines:
            if not self._look().runs_on(previous, machine):
                self._run_switchover(
                    switchover_name(self._unit.name, machine.id, back=True),
                    switchover_options(machine_id=machine.id, stop=others, start=previous),
                    machine,
                )
        self._order(previous, DesiredState.LAUNCHED)
        self._remove([self._unit.name])

    def _switch_over(self, machine: Machine) -> None:
        """Replace the other releases on one node, and wait until the new one serves there."""
        self._say(f"switching {machine.primary_ip} over")
        index = current_index(self._context)
        self._run_switchover(
            switchover_name(self._unit.name, machine.id),
            switchover_options(
                machine_id=machine.id,
                stop=self._look().others,
                start=self._unit.name,
                prepare=[
                    *(f"{_TEST} -x {program}" for program in self._unit.programs),
                    f"{_PLATFORM_IMAGE} ensure {image_of(self._unit.key)} {self._unit.sha256}",
                ],
            ),
            machine,
        )

        def serves() -> str | None:
            waiting = f"waiting for {self._unit.name} on {machine.primary_ip}"
            if not self._look().runs_on(self._unit.name, machine):
                return waiting
            missing = missing_on_node(self._context, self._unit.key, machine.id, index)
            return f"{waiting}: {missing}" if missing else None

        self._until(serves)

    def _run_switchover(self, name: str, options: tuple[Option, ...], machine: Machine) -> None:
        """Run the unit of a switchover to its end and delete it."""
        self._fleet.create(name, options, DesiredState.LAUNCHED)
        self._ordered = (name, DesiredState.LAUNCHED)

        def has_ended() -> str | None:
            states = [state for state in self._fleet.states() if state.name == name]
            if any(state.is_failed for state in states):
                self._discard(name)
                raise ClusterError(
                    f"{self._unit.name} could not be started on {machine.primary_ip}: see "
                    f"`journalctl -u {name} -u {self._unit.name}` there. If the node is of an "
                    "older model and lacks a script, replace it first: "
                    "docs/operations.md#machines-on-an-old-model"
                )
            if any(state.is_running for state in states):
                return None
            return f"waiting for {machine.primary_ip} to switch over"

        self._until(has_ended)
        self._discard(name)

    def _discard_switchovers(self) -> None:
        """Delete what an interrupted rollout left."""
        for name in self._fleet.units():
            if is_switchover(name, self._unit.key):
                self._discard(name)

    def _discard(self, name: str) -> None:
        if self._fleet.unit(name) is None:
            return
        self._order(name, DesiredState.INACTIVE)
        self._until(
            lambda: (
                f"waiting for the end of {name}"
                if any(state.name == name for state in self._fleet.states())
                else None
            )
        )
        self._fleet.destroy([name])
        self._ordered = None

    def _remove(self, names: list[str]) -> None:
        self._stop(names)
        for name in names:
            self._discard(name)

    def _stop(self, names: list[str]) -> None:
        for name in names:
            self._order(name, DesiredState.LOADED)
        self._until(
            lambda: (
                None if self._look().is_dead(names) else f"waiting for {', '.join(names)} to end"
            )
        )

    def _await_running(self) -> None:
        self._until(lambda: self._waiting_for(is_running, "running"))

    def _waiting_for(self, condition: Callable[..., bool], what: str) -> str | None:
        lacking = self._look().nodes_without(condition)
        if not lacking:
            return None
        return f"waiting for {self._unit.name} to be {what} everywhere ({lacking})"

    def _look(self) -> ObservedUnit:
        units = self._fleet.units()
        return ObservedUnit(
            unit=self._unit.name,
            desired={n: unit.desired for n, unit in units.items() if self._unit.is_release(n)},
            states=self._fleet.states(),
            machines=self._fleet.machines(),
        )

    def _create(self, desired: DesiredState) -> None:
        self._fleet.create(self._unit.name, self._unit.options, desired)
        self._ordered = (self._unit.name, desired)

    def _order(self, name: str, desired: DesiredState) -> None:
        self._fleet.set_desired(name, desired)
        self._ordered = (name, desired)

    def _until(self, missing: Callable[[], str | None]) -> None:
        waker = FleetWaker(self._fleet, self._context.clock)

        def checked() -> str | None:
            what = missing()
            if what and self._ordered is not None:
                waker.repeat(*self._ordered)
            return what

        wait_until(
            checked,
            patience=self._timeout,
            clock=self._context.clock,
            lock=self._lock,
            progress=self._context.progress,
            give_up=lambda what: ClusterError(f"gave up {what} after {self._timeout:.0f} s"),
        )

    def _say(self, line: str) -> None:
        self._context.progress(f"{self._unit.key}: {line}")


def _summary(view: ObservedUnit) -> str:
    if view.previous is None and not view.is_launched:
        return f"starting {view.unit} on every node"
    return f"replacing {', '.join(view.others)} by {view.unit}, node by node"
