"""A unit that switches one node from an old global unit to a new one. Pure.

fleet can only start and stop a global unit on all nodes together. But a unit tied to one node may
ask that node's systemd to stop the old unit (with all of its ExecStop=, so it drains) and to start
the new one, which fleet has loaded everywhere before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from contract.rollout_mark import Option

SYSTEMCTL = "/usr/bin/systemctl"


def switchover_name(unit: str, machine_id: str, *, back: bool = False) -> str:
    """The unit that switches the node `machine_id` over to `unit` (or back from it)."""
    direction = "turn-back" if back else "turn"
    return f"{direction}-{unit.removesuffix('.service')}-{machine_id[:12]}.service"


def is_switchover(unit: str, key: str) -> bool:
    """Whether a unit switches some node over to a release of the global unit `key`."""
    return (
        re.fullmatch(rf"turn-(back-)?{re.escape(key)}-[0-9a-f]{{8}}-\w+\.service", unit) is not None
    )


def switchover_options(
    *, machine_id: str, stop: Sequence[str], start: str, prepare: Sequence[str] = ()
) -> tuple[Option, ...]:
    """Prepare while the old unit still runs, then stop it, then start the new one."""
    commands = [*prepare]
    if stop:
        commands.append(f"{SYSTEMCTL} stop {' '.join(stop)}")
    commands.append(f"{SYSTEMCTL} start {start}")
    return (
        Option(section="Unit", name="Description", value=f"Change over to {start}"),
        Option(section="Service", name="Type", value="oneshot"),
        Option(section="Service", name="RemainAfterExit", value="yes"),
        Option(section="Service", name="TimeoutStartSec", value="600"),
        *(Option(section="Service", name="ExecStart", value=command) for command in commands),
        Option(section="X-Fleet", name="MachineID", value=machine_id),
    )
