"""JSON of the contract's dataclasses: both ends of every interface use this one reader and writer.

A field's name is its key. The reader refuses a wrong type and names its place. Whatever else a
value must be is checked by its class (`__post_init__`), so that the writer is checked, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Malformed(Exception):
    """A value is invalid; the text says where and why."""


def optional(default: T, *, formerly: str = "") -> T:
    """A field that is left out while it has its default.

    `formerly`: what earlier releases called it. The reader still takes that name.
    """
    return field(default=default, metadata={"is_optional": True, "formerly": formerly})


def as_json(value: Any) -> Any:
    """The objects, lists and plain values that stand for `value` in JSON."""
    if is_dataclass(value):
        return {
            one.name: as_json(content)
            for one in fields(value)
            if (content := getattr(value, one.name)) != one.default
            or not one.metadata.get("is_optional")
        }
    if isinstance(value, Mapping):
        return {str(key): as_json(content) for key, content in value.items()}
    if isinstance(value, tuple):
        return [as_json(one) for one in value]
    return value


def encode(value: Any) -> str:
    """As JSON with sorted keys: equal values are equal texts."""
    return json.dumps(as_json(value), sort_keys=True)


def decode(kind: type[T], text: str, *, is_strict: bool = False) -> T:
    """Read a dataclass. Raises Malformed.

    `is_strict` refuses unknown keys. What etcd holds may come from a later release, so there they
    are ignored.
    """
    return from_json(kind, json_object(text), is_strict=is_strict)


def json_object(text: str) -> dict[str, Any]:
    """Raises Malformed."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value


def from_json(kind: type[T], value: object, *, is_strict: bool = False) -> T:
    """The same from what `json.loads` returned."""
    return cast(T, _Reader(is_strict=is_strict).read(kind, value, ""))


class _Reader:
    def __init__(self, *, is_strict: bool) -> None:
        self._is_strict = is_strict

    def read(self, kind: Any, value: object, place: str) -> Any:
        """`value` as a `kind`. `place` says where it stands, in dots."""
        arguments = get_args(kind)
        match get_origin(kind):
            case None if is_dataclass(kind):
                return self._dataclass(kind, _is_a(dict, value, place, "an object"), place)
            case None:
                return _plain(kind, value, place)
            case origin if origin in (Union, UnionType):
                (other,) = (one for one in arguments if one is not NoneType)
                return None if value is None else self.read(other, value, place)
            case origin if origin is Literal:
                if value in arguments:
                    return value
                raise _wrong(place, f"must be one of {', '.join(arguments)}", value)
            case origin if origin is tuple:
                items = _is_a(list, value, place, "a list")
                return tuple(self.read(arguments[0], one, place) for one in items)
            case _:
                of_key, of_value = arguments
                return {
                    _key(of_key, key, place): self.read(of_value, one, _below(place, key))
                    for key, one in _is_a(dict, value, place, "an object").items()
                }

    def _dataclass(self, kind: Any, value: dict[str, Any], place: str) -> Any:
        hints = _types(kind)
        known = {name: one for one in fields(kind) for name in _names(one)}
        unknown = [name for name in value if name not in known]
        if unknown and self._is_strict:
            names = ", ".join(sorted(hints))
            raise Malformed(f"{_below(place, unknown[0])} is unknown here; known: {names}")
        given = {
            known[name].name: self.read(hints[known[name].name], one, _below(place, name))
            for name, one in value.items()
            if name in known and not (one is None and _has_default(known[name]))
        }
        for one in fields(kind):
            if one.name not in given and not _has_default(one):
                raise Malformed(f"{_below(place, one.name)} is missing")
        try:
            return kind(**given)
        except Malformed as error:
            raise Malformed(f"{place}: {error}" if place else str(error)) from error


@cache
def _types(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    return get_type_hints(kind)


def _plain(kind: Any, value: object, place: str) -> Any:
    """Text, a number, or true or false."""
    if kind is bool:
        return _is_a(bool, value, place, "true or false")
    if kind is str:
        return _is_a(str, value, place, "text")
    word, kinds = ("a whole number", int) if kind is int else ("a number", (int, float))
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise _wrong(place, f"must be {word}", value)
    return value


def _key(kind: Any, key: str, place: str) -> Any:
    """The key of an object. "080" would be another port for a template than for us."""
    if kind is str:
        return key
    if not re.fullmatch(r"0|[1-9][0-9]{0,17}", key):
        raise Malformed(f"{place}: {key!r} is not a number")
    return int(key)


def _is_a(kind: type[T], value: object, place: str, what: str) -> T:
    if not isinstance(value, kind):
        raise _wrong(place, f"must be {what}", value)
    return value


def _wrong(place: str, rule: str, value: object) -> Malformed:
    return Malformed(f"{place} {rule}, not {value!r}".lstrip())


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _names(one: Field[Any]) -> list[str]:
    return [name for name in (one.name, one.metadata.get("formerly")) if name]


def _has_default(one: Field[Any]) -> bool:
    return one.default is not MISSING or one.default_factory is not MISSING
