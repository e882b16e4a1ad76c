"""Checks a resource's inputs against the published package's types.

Pure: it returns all problems, each with its property path. Unknown values are accepted; they are
checked again when they are known.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from lab.providers.azure_native.schema import (
    Anything,
    Choice,
    FileContent,
    Listing,
    OneOf,
    Record,
    Scalar,
    Shape,
    Table,
)
from lab.providers.wire import UNKNOWN, Asset, Secret, Value

_NAMES = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Problem:
    """A problem: its property path, and what is expected there."""

    path: str
    reason: str


def problems(shape: Shape, value: Value, path: str = "") -> Iterator[Problem]:
    """Everything in the value that does not fit the shape."""
    if isinstance(value, Secret):
        value = value.value
    if value is UNKNOWN or value is None:
        return
    match shape:
        case Anything():
            return
        case Record():
            yield from _record_problems(shape, value, path)
        case Listing(item):
            if not isinstance(value, list):
                yield _mismatch(path, "a list", value)
                return
            for index, element in enumerate(value):
                yield from problems(item, element, f"{path}[{index}]")
        case Table(item):
            if not isinstance(value, dict):
                yield _mismatch(path, "a map", value)
                return
            for key, element in value.items():
                yield from problems(item, element, _below(path, key))
        case OneOf(shapes):
            found = [list(problems(alternative, value, path)) for alternative in shapes]
            yield from min(found, key=len)
        case Choice(values):
            yield from _choice_problems(values, value, path)
        case FileContent():
            if not isinstance(value, Asset):
                yield _mismatch(path, "a pulumi.FileAsset or pulumi.StringAsset", value)
        case Scalar(python):
            if not _is_scalar(python, value):
                yield _mismatch(path, _NAMES[python], value)


def _record_problems(record: Record, value: Value, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield _mismatch(path, "an object", value)
        return
    for name in sorted(record.required):
        if value.get(name) is None:
            missing = _below(path, name)
            yield Problem(missing, f"missing required property '{missing}'")
    for name, element in value.items():
        inner = _below(path, name)
        if name in record.properties:
            yield from problems(record.properties[name], element, inner)
        else:
            yield Problem(inner, _unknown_property(inner, name, list(record.properties)))


def _choice_problems(values: tuple[str, ...], value: Value, path: str) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield _mismatch(path, "a string", value)
    elif value not in values:
        allowed = ", ".join(values)
        yield Problem(path, f"'{path}' is '{value}', which is not one of: {allowed}")


def _unknown_property(path: str, name: str, known: list[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f"; did you mean '{by_lower[close[0]]}'?" if close else ""
    return f"unknown property '{path}'{hint}"


def _mismatch(path: str, expected: str, value: Value) -> Problem:
    return Problem(path, f"'{path}' should be {expected} but is {_describe(value)}")


def _describe(value: Value) -> str:
    """The kind of a value; never the value, which may be secret."""
    match value:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case Asset():
            return "an asset"
        case _:
            return "something else"


def _is_scalar(python: type, value: Value) -> bool:
    if python is bool or isinstance(value, bool):
        return python is bool and isinstance(value, bool)
    return isinstance(value, (int, float) if python is float else python)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
