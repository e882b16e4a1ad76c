"""Replaces a global unit machine by machine, so that never all routers are away at once.

New machines must get the platform's units without anybody's help, so they are fleet's global
units; and those start and stop everywhere at once. So the new one is loaded everywhere without
being started, then each machine takes its turn (`turn.py`), and at last fleet is told what is
already true. Every decision is taken from what systemd says on each machine, so an interrupted
replacement is finished by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clients.clock import Clock
from clients.errors import ClusterError
from clients.etcd import Etcd
from clients.etcd.lock import Lock, LockLost
from clients.fleet import DesiredState, Fleet, Option, Unit, UnitState
from clients.fleet.wake import Nudge
from clients.progress import Patience, Progress
from clients.routers import read_routers
from cluster.platform.switchover import is_turn, turn_name, turn_options
from contract.keys import SERVICES

_PAUSE = 1.0
_PLATFORM_IMAGE = "/opt/bin/platform-image"
_TEST = "/usr/bin/test"


@dataclass(kw_only=True, frozen=True)
class GlobalUnit:
    """A unit of the platform in one release."""

    key: str
    name: str
    options: tuple[Option, ...]
    sha256: str  # of its image's file

    @property
    def programs(self) -> list[str]:
        """The node's own programs that it starts. An older node bundle may lack some."""
        lines = (option.value for option in self.options if option.name.startswith("Exec"))
        return sorted({found for line in lines for found in re.findall(r"/opt/bin/[\w-]+", line)})


class GlobalRollout:
    """Brings one global unit to its release on every machine, under the platform's lock."""

    def __init__(
        self,
        unit: GlobalUnit,
        *,
        etcd: Etcd,
        fleet: Fleet,
        lock: Lock,
        clock: Clock,
        progress: Progress,
        timeout: float,
    ) -> None:
        self._unit = unit
        self._etcd = etcd
        self._fleet = fleet
        self._lock = lock
        self._clock = clock
        self._progress = progress
        self._timeout = timeout
        self._ordered: tuple[str, DesiredState] | None = None  # what fleet was told last

    def run(self) -> None:
        """Raises ClusterError; the release before runs then."""
        units = self._fleet.units()
        for name in units:
            if is_turn(name, self._unit.key):
                self._discard(name)  # a replacement was interrupted
        older = sorted(
            name
            for name in units
            if re.fullmatch(rf"{re.escape(self._unit.key)}-[0-9a-f]{{8}}\.service", name)
            and name != self._unit.name
        )
        mine = units.get(self._unit.name)
        is_launched = mine is not None and mine.desired is DesiredState.LAUNCHED
        if not older and is_launched:
            self._await_everywhere()
            self._progress(f"{self._unit.key}: unchanged ({self._unit.name})")
            return
        serving = self._serving(older, units)
        if serving or is_launched:
            self._progress(
                f"{self._unit.key}: replacing {', '.join(older)} by {self._unit.name}, "
                "machine by machine"
            )
            if mine is None or mine.desired is DesiredState.INACTIVE:
                self._submit(DesiredState.LOADED)
            # an interrupted replacement that goes back to what fleet launched has nothing behind it
            self._replace(older, None if is_launched else serving)
        else:
            self._progress(f"{self._unit.key}: starting {self._unit.name} on every machine")
            self._submit(DesiredState.LAUNCHED)
            self._await_everywhere()
        self._remove(older)
        self._progress(f"{self._unit.key}: {self._unit.name} runs on every machine")

    def _serving(self, older: list[str], units: Mapping[str, Unit]) -> str | None:
        """What served until now: what fleet launched, else what an interrupted replacement started
        before fleet was told."""
        running = {state.name for state in self._fleet.states() if not state.is_dead}
        launched = [name for name in older if units[name].desired is DesiredState.LAUNCHED]
        candidates = launched or [name for name in older if name in running]
        return candidates[0] if candidates else None

    def _submit(self, desired: DesiredState) -> None:
        self._fleet.create(self._unit.name, self._unit.options, desired)
        self._ordered = (self._unit.name, desired)

    def _order(self, name: str, desired: DesiredState) -> None:
        self._fleet.set_desired(name, desired)
        self._ordered = (name, desired)

    def _replace(self, older: list[str], serving: str | None) -> None:
        """`serving` is what a failure goes back to."""
        self._await_all("loaded", lambda state: state.load == "loaded")
        try:
            for machine in self._fleet.machines():
                self._take_turn(machine.id, machine.primary_ip, older)
            # On a machine that came meanwhile fleet started the old one: it must be gone first.
            for name in older:
                self._order(name, DesiredState.LOADED)
            self._await_dead(older)
            self._submit(DesiredState.LAUNCHED)
            self._await_everywhere()
        except LockLost:
            raise
        except ClusterError as error:
            if serving is None:
                raise
            self._go_back(serving, [self._unit.name, *older])
            raise ClusterError(f"{error}; {serving} runs again everywhere") from error

    def _take_turn(self, machine_id: str, address: str, older: list[str]) -> None:
        if self._runs_on(self._unit.name, machine_id):
            return
        self._progress(f"{self._unit.key}: it is the turn of {address}")
        index = self._etcd.get(SERVICES).index
        name = turn_name(self._unit.name, machine_id)
        self._perform(
            name,
            turn_options(
                machine_id=machine_id,
                stop=older,
                start=self._unit.name,
                prepare=[
                    *(f"{_TEST} -x {program}" for program in self._unit.programs),
                    f"{_PLATFORM_IMAGE} ensure {self._unit.key} {self._unit.sha256}",
                ],
            ),
            where=address,
        )
        self._until(
            f"waiting for {self._unit.name} on {address}",
            lambda: (
                self._runs_on(self._unit.name, machine_id)
                and (self._unit.key != "router" or self._routes(machine_id, index))
            ),
        )

    def _go_back(self, serving: str, units: list[str]) -> None:
        """Start the old unit again wherever it was stopped, alone of `units`, and forget the new
        one."""
        others = [name for name in units if name != serving]
        self._progress(f"{self._unit.key}: going back to {serving}")
        for machine in self._fleet.machines():
            if self._runs_on(serving, machine.id):
                continue
            self._perform(
                turn_name(self._unit.name, machine.id, back=True),
                turn_options(machine_id=machine.id, stop=others, start=serving),
                where=machine.primary_ip,
            )
        self._order(serving, DesiredState.LAUNCHED)
        self._remove([self._unit.name])

    def _perform(self, name: str, options: tuple[Option, ...], *, where: str) -> None:
        """Run a turn's unit to its end and take it away."""
        self._fleet.create(name, options, DesiredState.LAUNCHED)
        self._ordered = (name, DesiredState.LAUNCHED)

        def has_ended() -> bool:
            states = [state for state in self._fleet.states() if state.name == name]
            failed = [state for state in states if state.is_failed]
            if failed:
                self._discard(name)
                raise ClusterError(
                    f"{self._unit.name} could not be started on {where}: see `journalctl "
                    f"-u {name} -u {self._unit.name}` there. If the machine is of an older model "
                    "and lacks a script, replace it first (docs/operations.md, Machines on an "
                    "old model)"
                )
            return any(state.is_running for state in states)

        self._until(f"waiting for the turn of {where}", has_ended)
        self._discard(name)

    def _discard(self, name: str) -> None:
        if self._fleet.unit(name) is None:
            return
        self._order(name, DesiredState.INACTIVE)
        self._until(
            f"waiting for the end of {name}",
            lambda: all(state.name != name for state in self._fleet.states()),
        )
        self._fleet.destroy([name])
        self._ordered = None

    def _remove(self, names: list[str]) -> None:
        for name in names:
            self._order(name, DesiredState.LOADED)
        self._await_dead(names)
        for name in names:
            self._discard(name)

    def _await_everywhere(self) -> None:
        self._await_all("running", lambda state: state.is_running)

    def _await_all(self, what: str, condition: Callable[[UnitState], bool]) -> None:
        def holds() -> bool:
            return self._state_on_all(self._unit.name, condition) is None

        self._until(
            f"waiting for {self._unit.name} to be {what} everywhere",
            holds,
            detail=lambda: self._state_on_all(self._unit.name, condition) or "",
        )

    def _state_on_all(self, name: str, condition: Callable[[UnitState], bool]) -> str | None:
        """None if `condition` holds on every machine, else where it does not and what is there."""
        states = {s.machine_id: s for s in self._fleet.states() if s.name == name}
        lacking = []
        for machine in self._fleet.machines():
            state = states.get(machine.id)
            if state is None:
                lacking.append(f"{machine.primary_ip}: not loaded")
            elif not condition(state):
                lacking.append(f"{machine.primary_ip}: {state.active} ({state.sub})")
        return ", ".join(lacking) or None

    def _await_dead(self, names: list[str]) -> None:
        self._until(
            f"waiting for the end of {', '.join(names)}",
            lambda: all(s.is_dead for s in self._fleet.states() if s.name in names),
        )

    def _runs_on(self, name: str, machine_id: str) -> bool:
        return any(
            state.is_running
            for state in self._fleet.states()
            if state.name == name and state.machine_id == machine_id
        )

    def _routes(self, machine_id: str, index: int) -> bool:
        """Whether the machine's router serves what etcd held at `index`. A router that has just
        started begins at 0."""
        return any(
            router.machine_id == machine_id and router.applied >= index
            for router in read_routers(self._etcd)
        )

    def _until(
        self, what: str, condition: Callable[[], bool], *, detail: Callable[[], str] | None = None
    ) -> None:
        deadline = self._clock.now() + self._timeout
        patience = Patience(self._clock, self._progress)
        nudge = Nudge(self._fleet, self._clock)
        while not condition():
            text = f"{what} ({detail()})" if detail else what
            if self._clock.now() >= deadline:
                raise ClusterError(f"gave up {text} after {self._timeout:.0f} s")
            patience.waiting_for(text)
            if self._ordered is not None:
                nudge.repeat(*self._ordered)
            self._lock.pause(_PAUSE)
