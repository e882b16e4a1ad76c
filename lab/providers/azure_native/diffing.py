"""Diff: what changed between two sets of inputs, by property path, and whether it replaces.

The rules are azure-native's (provider/pkg/provider/diff.go): inputs are compared with inputs, so
that Azure's defaults in the outputs are not changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from lab.azure.arm.resource_types import ResourceType
from lab.providers.azure_native.checking import CREATE_BEFORE_DELETE
from lab.providers.wire import Asset, Props, Secret, Value

Path = tuple[str | int, ...]

_SEGMENT = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)')


class Kind(Enum):
    """How a property changed. The values are the protocol's; one more says "and replaces"."""

    ADD = 0
    DELETE = 2
    UPDATE = 4


@dataclass(frozen=True)
class Change:
    """One property that differs."""

    path: Path
    kind: Kind
    replaces: bool = False

    @property
    def top_level(self) -> str:
        """The input that contains the property."""
        return str(self.path[0])


def changes(
    resource_type: ResourceType, old: Props, new: Props, ignored: Iterable[str] = ()
) -> list[Change]:
    """All changes, without those that the program ignores."""
    ignored_paths = [parse_path(path) for path in ignored]
    return [
        Change(change.path, change.kind, _replaces(resource_type, change.path))
        for change in _differences(_comparable(old), _comparable(new), ())
        if not any(_covers(path, change.path) for path in ignored_paths)
    ]


def deletes_first(old: Props) -> bool:
    """Whether a replacement deletes first: two resources cannot share an explicit name."""
    return not old.get(CREATE_BEFORE_DELETE, False)


def format_path(path: Path) -> str:
    """A path as the engine writes it: `a.b[0]["c.d"]`."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        elif re.search(r'[.\[\]"]', segment):
            escaped = segment.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{segment}" if text else segment
    return text


def parse_path(text: str) -> Path:
    """The segments of a path; the wildcard `[*]` stays as "*"."""

    def segments() -> Iterator[str | int]:
        for quoted, index, plain in _SEGMENT.findall(text):
            if quoted:
                yield re.sub(r"\\(.)", r"\1", quoted)
            elif index:
                yield int(index) if index != "*" else "*"
            else:
                yield plain

    return tuple(segments())


def _comparable(props: Props) -> Props:
    """Inputs without internal marks; locations as Azure compares them: "West US" = westus."""
    shown = {name: value for name, value in props.items() if not name.startswith("__")}
    if isinstance(shown.get("location"), str):
        shown["location"] = shown["location"].replace(" ", "").lower()
    return shown


def _differences(old: Value, new: Value, path: Path) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _member_differences(old.get(name), new.get(name), (*path, name))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _member_differences(before, after, (*path, index))
    elif not _same(old, new):
        yield Change(path, Kind.UPDATE)


def _member_differences(old: Value, new: Value, path: Path) -> Iterator[Change]:
    """None stands for absent: null and absent mean the same in an Azure request."""
    if old is None and new is None:
        return
    if old is None:
        yield Change(path, Kind.ADD)
    elif new is None:
        yield Change(path, Kind.DELETE)
    else:
        yield from _differences(old, new, path)


def _same(old: Value, new: Value) -> bool:
    if isinstance(old, Asset) and isinstance(new, Asset) and old.hash and new.hash:
        return old.hash == new.hash
    if isinstance(old, Secret) and isinstance(new, Secret):
        return not list(_differences(old.value, new.value, ()))
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _replaces(resource_type: ResourceType, path: Path) -> bool:
    names = [segment for segment in path if isinstance(segment, str)]
    prefixes = {".".join(names[: count + 1]) for count in range(len(names))}
    return bool(prefixes & resource_type.replace_on)


def _covers(ignored: Path, path: Path) -> bool:
    if len(ignored) > len(path):
        return False
    return all(
        mine in (theirs, "*") for mine, theirs in zip(ignored, path[: len(ignored)], strict=True)
    )
