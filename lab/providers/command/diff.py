"""Diff: old inputs against new inputs, by property path, as Pulumi's own object diff.

Pure. A secret is one value: a change inside a connection is reported as `connection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lab.providers.wire import Props, Secret, Value

# A name that needs no quotes in a property path.
_PLAIN_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$")


class Kind(Enum):
    """What happened to a property. The numbers are the protocol's; a replace is one higher."""

    ADD = 0
    DELETE = 2
    UPDATE = 4


@dataclass(frozen=True)
class Change:
    """One changed property."""

    kind: Kind
    replace: bool


def diff(olds: Props, news: Props) -> dict[str, Change]:
    """The changes by path. Only a change of `triggers` as a whole replaces.

    A change inside `triggers` is an update here: the SDK's own `replaceOnChanges` turns it into a
    replacement.
    """
    compared = {name: new for name, new in news.items() if not _is_internal(name)}
    changes = _object_changes("", olds, compared)
    return {path: Change(kind, replace=path == "triggers") for path, kind in changes.items()}


def with_ignored(news: Props, state: Props, ignored: list[str]) -> Props:
    """The new inputs, with the stored values of ignored properties."""
    return {**news, **{name: state[name] for name in ignored if name in state}}


def same(left: Value, right: Value) -> bool:
    """Deep equality that distinguishes true from 1."""
    match left, right:
        case Secret(), Secret():
            return same(left.value, right.value)
        case dict(), dict():
            return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
        case list(), list():
            return len(left) == len(right) and all(map(same, left, right))
        case (bool(), _) | (_, bool()):
            return left is right
        case _:
            return bool(left == right)


def _is_internal(name: str) -> bool:
    return name == "version" or name.startswith("__")


def _object_changes(prefix: str, olds: Props, news: Props) -> dict[str, Kind]:
    changes: dict[str, Kind] = {}
    for name in [*olds, *(name for name in news if name not in olds)]:
        path = _extended(prefix, name)
        if name not in news:
            changes[path] = Kind.DELETE
        elif name not in olds:
            changes[path] = Kind.ADD
        else:
            changes |= _value_changes(path, olds[name], news[name])
    return changes


def _value_changes(path: str, old: Value, new: Value) -> dict[str, Kind]:
    match old, new:
        case dict(), dict():
            return _object_changes(path, old, new)
        case list(), list():
            return _list_changes(path, old, new)
        case _:
            return {} if same(old, new) else {path: Kind.UPDATE}


def _list_changes(path: str, olds: list[Value], news: list[Value]) -> dict[str, Kind]:
    changes: dict[str, Kind] = {}
    for index, (old, new) in enumerate(zip(olds, news, strict=False)):
        changes |= _value_changes(f"{path}[{index}]", old, new)
    for index in range(len(olds), len(news)):
        changes[f"{path}[{index}]"] = Kind.ADD
    for index in range(len(news), len(olds)):
        changes[f"{path}[{index}]"] = Kind.DELETE
    return changes


def _extended(prefix: str, name: str) -> str:
    if not name or not set(name) <= _PLAIN_NAME:
        return f'{prefix}["{name}"]'.replace('\\"', '\\\\"')
    return f"{prefix}.{name}" if prefix else name
