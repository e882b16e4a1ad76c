"""Wakes fleet's loops, which miss most of what is written.

They sleep for a second after every event and see nothing of that second, and of a new unit they see
the one key that doesn't interest them; they would notice by themselves 5 to 10 s later. Writing the
same desired state again wakes all of them, and changes nothing.
https://github.com/coreos/fleet/blob/v1.0.0/registry/event.go
"""

from __future__ import annotations

from clients.clock import Clock
from clients.fleet import DesiredState, Fleet

_EVERY = 1.2
_ENOUGH = 10.0  # by then the slowest loop has noticed


class Nudge:
    """Repeats desired states, one every 1.2 s, in the first 10 s of a wait."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._began = self._last = clock.now()

    def repeat(self, name: str, desired: DesiredState) -> None:
        """The unit is to be `desired`, and fleet has not begun. One unit wakes fleet for all."""
        now = self._clock.now()
        if now - self._last < _EVERY or now - self._began > _ENOUGH:
            return
        self._last = now
        self._fleet.set_desired(name, desired)
