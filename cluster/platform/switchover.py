"""One machine's turn in the replacement of a global unit, as a unit of its own.

fleet starts and stops a global unit on all machines at once, and has no other way. But a unit tied
to one machine may ask that machine's systemd to stop the old one (with all of its ExecStop, so it
drains) and to start the new one, which fleet has loaded everywhere before. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from clients.fleet import Option

SYSTEMCTL = "/usr/bin/systemctl"


def turn_name(unit: str, machine_id: str, *, back: bool = False) -> str:
    """The unit that lets `machine_id` change over to `unit` (or back from it)."""
    direction = "turn-back" if back else "turn"
    return f"{direction}-{unit.removesuffix('.service')}-{machine_id[:12]}.service"


def is_turn(unit: str, key: str) -> bool:
    """Whether a unit is the turn of some machine in a replacement of the global unit `key`."""
    return (
        re.fullmatch(rf"turn-(back-)?{re.escape(key)}-[0-9a-f]{{8}}-\w+\.service", unit) is not None
    )


def turn_options(
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
