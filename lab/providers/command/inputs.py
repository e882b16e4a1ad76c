"""Check: decodes inputs strictly, adds defaults, marks secrets.

Pure. The messages are the real plugin's, which come from Pulumi's Go mapper,
`sdk/go/common/util/mapper`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.providers.command.schema import ListOf, MapOf, Scalar, Struct, Type
from lab.providers.wire import UNKNOWN, Asset, Props, Secret, Value


@dataclass(frozen=True)
class Failure:
    """A property that cannot be accepted, and why."""

    property: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """The inputs to store, and their problems."""

    inputs: Props
    failures: list[Failure]


def check(struct: Struct, news: Props) -> Checked:
    """The answer to Check. Defaults are filled in only when nothing is wrong."""
    failures = list(mismatches(struct, news))
    inputs = news if failures else _completed(struct, news)
    return Checked(_with_secrets(struct, inputs), failures)


def without_nulls(value: Value) -> Value:
    """The value without null entries in its maps: null and absent mean the same."""
    match value:
        case Secret():
            return Secret(without_nulls(value.value))
        case dict():
            kept = ((name, item) for name, item in value.items() if item is not None)
            return {name: without_nulls(item) for name, item in kept}
        case list():
            return [without_nulls(item) for item in value]
        case _:
            return value


def mismatches(struct: Struct, props: Props) -> Iterator[Failure]:
    """The problems of the properties: wrong types, missing or unknown names."""
    for name, declared in struct.inputs.items():
        if name in props:
            failure = _mismatch(declared.type, props[name], struct, name)
            if failure:
                yield failure
        elif declared.required:
            yield Failure(name, f"Missing required field '{name}' on '{struct.name}'")
    for name in props:
        if name not in struct.inputs:
            yield Failure(name, f"Unrecognized field '{name}' on '{struct.name}'")


def decoding_problem(struct: Struct, props: Props) -> str | None:
    """All problems in one text; None if there are none."""
    failures = list(mismatches(struct, props))
    if not failures:
        return None
    listed = "".join(f"\n\t{failure.property}: {failure.reason}" for failure in failures)
    return f"{len(failures)} failures decoding:{listed}"


def _mismatch(type_: Type, value: Value, owner: Struct, key: str) -> Failure | None:
    if isinstance(value, Secret):
        return _mismatch(type_, value.value, owner, key)
    if value is UNKNOWN or type_ is Scalar.ANY:
        return None
    match type_, value:
        case Struct(), dict():
            return _struct_mismatch(type_, value, owner, key)
        case ListOf(), list():
            items = (
                _mismatch(type_.item, item, owner, f"{key}[{index}]")
                for index, item in enumerate(value)
            )
        case MapOf(), dict():
            items = (
                _mismatch(type_.item, item, owner, f"{key}[{name}] value")
                for name, item in value.items()
            )
        case _:
            return None if _fits(type_, value) else Failure(key, _wrong(type_, value, owner, key))
    return next((item for item in items if item), None)


def _wrong(type_: Type, value: Value, owner: Struct, key: str) -> str:
    wanted = _go_type(type_)
    if isinstance(value, dict):
        reason = f"Cannot decode Object{{}} to type {wanted}"
        return (
            f"An error occurred decoding '{owner.short_name}.{key}': "
            f"{reason}; it isn't a struct, and no custom decoder exists"
        )
    got = _go_type_of(value)
    return f"Field '{key}' on '{owner.name}' must be a '{wanted}'; got '{got}' instead"


def _struct_mismatch(type_: Struct, value: Props, owner: Struct, key: str) -> Failure | None:
    problem = decoding_problem(type_, value)
    if not problem:
        return None
    return Failure(key, f"An error occurred decoding '{owner.short_name}.{key}': {problem}")


def _fits(type_: Type, value: Value) -> bool:
    match type_:
        case Scalar.STRING | Scalar.LOGGING:
            return isinstance(value, str)
        case Scalar.BOOLEAN:
            return isinstance(value, bool)
        case Scalar.INTEGER | Scalar.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return False


def _go_type(type_: Type) -> str:
    match type_:
        case Scalar():
            return type_.value
        case ListOf():
            return f"[]{_go_type(type_.item)}"
        case MapOf():
            return f"map[string]{_go_type(type_.item)}"
        case Struct():
            return type_.name


def _go_type_of(value: Value) -> str:
    match value:
        case str():
            return "string"
        case bool():
            return "bool"
        case int() | float():
            return "float64"
        case list():
            return "[]interface {}"
        case Asset():
            return "archive.Archive" if value.archive else "asset.Asset"
        case _:
            return "resource.ResourceReference"


def _completed(type_: Type, value: Value) -> Value:
    """The value with defaults; an integer's fraction is cut."""
    if isinstance(value, Secret):
        return Secret(_completed(type_, value.value))
    if type_ is Scalar.INTEGER and isinstance(value, float):
        return int(value)
    if not isinstance(type_, Struct) or not isinstance(value, dict):
        return value
    completed = dict(value)
    for name, declared in type_.inputs.items():
        if name in value:
            completed[name] = _completed(declared.type, value[name])
        elif declared.default is not None:
            completed[name] = declared.default
    return completed


def _with_secrets(type_: Type, value: Value) -> Value:
    """The value, with all properties wrapped that are secret in the schema, at every depth."""
    if isinstance(value, Secret):
        return Secret(_with_secrets(type_, value.value))
    if not isinstance(type_, Struct) or not isinstance(value, dict):
        return value
    marked = dict(value)
    for name, declared in type_.inputs.items():
        if name in value:
            item = _with_secrets(declared.type, value[name])
            wrap = declared.secret and not isinstance(item, Secret)
            marked[name] = Secret(item) if wrap else item
    return marked
