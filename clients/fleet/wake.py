"""Wakes fleet's loops, which miss most writes to etcd.

After every event a loop sleeps for a second and misses the events of that second; of a new unit it
sees only a key that it ignores. Without help it notices 5 to 10 s later. Writing the same desired
state again wakes all loops, and changes nothing.
https://github.com/coreos/fleet/blob/v1.0.0/registry/event.go
"""

from __future__ import annotations

from clients.clock import Clock
from clients.fleet import DesiredState, Fleet

_EVERY = 1.2
_ENOUGH = 10.0  # by then the slowest loop has noticed


class FleetWaker:
    """Repeats desired states, one every 1.2 s, in the first 10 s of a wait."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._began = self._last = clock.now()

    def repeat(self, name: str, desired: DesiredState) -> None:
        """Call while fleet has not begun to make the unit `desired`. One unit is enough."""
        now = self._clock.now()
        if now - self._last < _EVERY or now - self._began > _ENOUGH:
            return
        self._last = now
        self._fleet.set_desired(name, desired)
