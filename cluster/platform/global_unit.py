"""A unit of the platform in one release, for every node. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from clients.errors import ClusterError
from clients.fleet.unit_file import check_name, parse
from contract.rollout_mark import Option


@dataclass(kw_only=True, frozen=True)
class GlobalUnit:
    """Its name holds its release, so a changed unit has another name."""

    key: str
    name: str
    options: tuple[Option, ...]
    sha256: str  # of its image's file

    @property
    def programs(self) -> list[str]:
        """The programs of the node that the unit starts. A node with an older bundle may lack
        some."""
        lines = (option.value for option in self.options if option.name.startswith("Exec"))
        return sorted({found for line in lines for found in re.findall(r"/opt/bin/[\w-]+", line)})

    def is_release(self, unit: str) -> bool:
        """Whether `unit` is this unit, in this or another release."""
        return re.fullmatch(rf"{re.escape(self.key)}-[0-9a-f]{{8}}\.service", unit) is not None


def make_global_unit(key: str, text: str, sha256: str) -> GlobalUnit:
    """The unit with its release filled in. Raises UnitFileError, ClusterError."""
    release = hashlib.sha256(f"{text}\0{sha256}".encode()).hexdigest()[:8]
    name = f"{key}-{release}.service"
    check_name(name)
    options = parse(text.replace("__RELEASE__", release), origin=name)
    if not any(o.section == "X-Fleet" and o.name == "Global" for o in options):
        raise ClusterError(f"{name}: a unit of the platform needs Global=true in [X-Fleet]")
    return GlobalUnit(key=key, name=name, options=options, sha256=sha256)
