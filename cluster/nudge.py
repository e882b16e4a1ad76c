"""Wakes fleet's loops, which miss most of what is written.

They sleep for a second after every event and see nothing of that second, and of a new unit they see
the one key that doesn't interest them; they would notice by themselves 5 to 10 s later. Writing the
same desired state again wakes all of them, and changes nothing.
https://github.com/coreos/fleet/blob/v1.0.0/registry/event.go
"""

from __future__ import annotations

from cluster.clock import Clock
from cluster.fleet import DesiredState, Fleet, Unit

_EVERY = 1.2


class Nudge:
    """Repeats a desired state, at most every 1.2 s, for as long as it is asked to."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._last = clock.now()

    def towards(self, desired: DesiredState, unit: Unit | None) -> None:
        """`unit` shall be `desired` and fleet has not begun yet. One unit wakes them for all."""
        if unit is None or unit.desired is not desired:
            return
        if self._clock.now() - self._last < _EVERY:
            return
        self._last = self._clock.now()
        self._fleet.set_desired(unit.name, desired)
