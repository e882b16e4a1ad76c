"""fleet: its HTTP API, its machines, its units' texts."""

from clients.fleet.client import (
    SOCKET,
    DesiredState,
    Fleet,
    FleetError,
    FleetUnavailable,
    Machine,
    Option,
    Unit,
    UnitState,
)

__all__ = [
    "SOCKET",
    "DesiredState",
    "Fleet",
    "FleetError",
    "FleetUnavailable",
    "Machine",
    "Option",
    "Unit",
    "UnitState",
]
