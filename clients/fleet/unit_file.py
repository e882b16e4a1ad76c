"""Parses a unit's text into fleet's options, exactly as fleet's own parser does (go-systemd, 2018).

Stricter than fleet in one way: what fleet and systemd would ignore silently is an error.
"""

from __future__ import annotations

import re

from clients.errors import ClusterError
from clients.fleet import Option

LINE_MAX = 2048  # systemd's LINE_MAX: fleet refuses longer lines
NAME_MAX = 256
_NAME = re.compile(r"(?!@)[A-Za-z0-9:_.\\@-]+\.(?:service|socket|path|timer|target|mount)")
# coreos/fleet v1.0.0, job/job.go. An unknown key is only a warning in fleet.
_FLEET_KEYS = frozenset(
    {"MachineID", "MachineOf", "MachineMetadata", "Conflicts", "Global", "Replaces"}
)


class UnitFileError(ClusterError):
    """The unit's text or name is one that fleet or systemd would refuse or misread."""


def check_name(name: str) -> None:
    """Raise UnitFileError for a name that fleet refuses (api/units.go, ValidateName)."""
    if len(name) > NAME_MAX:
        raise UnitFileError(
            f"unit name {name[:40]}… is {len(name)} long; at most {NAME_MAX} can be"
        )
    if not _NAME.fullmatch(name):
        raise UnitFileError(
            f"unit name {name!r}: only letters, digits and :-_.\\@ are allowed, "
            "and it ends in .service or another unit type"
        )


def parse(text: str, *, origin: str) -> tuple[Option, ...]:
    """The options of a unit, in order. `origin` names the unit in errors."""
    options: list[Option] = []
    section = ""
    lines = iter(enumerate(text.split("\n"), start=1))
    last = text.count("\n") + 1
    for number, line in lines:
        _check_length(line, origin, number)
        stripped = line.strip()
        if not stripped:
            continue
        if stripped[0] in "#;":
            # go-systemd: a comment that ends in a backslash includes the next line
            while line.rstrip(" ").endswith("\\"):
                _, line = next(lines, (0, ""))
            continue
        if stripped.startswith("["):
            if not stripped.endswith("]"):
                raise UnitFileError(f"{origin} line {number}: garbage after section: {stripped!r}")
            section = stripped[1:-1]
            continue
        name, equals, value = stripped.partition("=")
        if not section:
            raise UnitFileError(f"{origin} line {number}: {stripped!r} stands before any [Section]")
        if not equals:
            raise UnitFileError(
                f"{origin} line {number}: {stripped!r} is not an option: it has no '='"
            )
        value = line.partition("=")[2]
        while line.endswith("\\") and number < last:
            number, line = next(lines)
            _check_length(line, origin, number)
            value += "\n"
            if not line.strip():
                break
            value += line
        # go-systemd keeps the line break after a backslash that continues nothing
        end = "\n" if value.endswith("\n") else ""
        options.append(Option(section=section, name=name.strip(), value=value.strip() + end))
    _check(options, origin)
    return tuple(options)


def _check_length(line: str, origin: str, number: int) -> None:
    length = len(line.encode())
    if length >= LINE_MAX:
        raise UnitFileError(
            f"{origin} line {number}: {length} bytes; fleet takes lines below {LINE_MAX}. "
            "Break it with a backslash"
        )


def _check(options: list[Option], origin: str) -> None:
    sections = {option.section for option in options}
    if not {"Unit", "Service"} <= sections:
        raise UnitFileError(f"{origin}: needs a [Unit] and a [Service] section")
    if "Install" in sections:
        raise UnitFileError(f"{origin}: [Install] would make systemd start the unit without fleet")
    for option in options:
        if option.section == "X-Fleet" and option.name not in _FLEET_KEYS:
            raise UnitFileError(
                f"{origin}: fleet does not know {option.name!r} in [X-Fleet]; "
                f"it knows {', '.join(sorted(_FLEET_KEYS))}"
            )
