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
from contract.rollout_mark import Option

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
