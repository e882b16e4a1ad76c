"""fleet: its HTTP API, its machines, its units' texts."""

from clients.fleet.client import (
    SOCKET,
    DesiredState,
    Fleet,
    FleetError,
    FleetUnavailable,
    Machine,
    Unit,
    UnitState,
)
from contract.unit_option import Option

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
