"""The shapes of azure-native's resources, read from the published Python package itself.

The package's generated classes have every property's wire name and type, so this module lists no
property. It imports each resource type at its first use: the whole package would take seconds and
hundreds of megabytes.
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import importlib
import inspect
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pulumi import _types, asset

# A shape is what a property may hold.
Shape = typing.Union[
    "Scalar", "Choice", "Listing", "Table", "Record", "FileContent", "Anything", "OneOf"
]


@dataclass(frozen=True)
class Scalar:
    """A string, bool, int or float."""

    python: type


@dataclass(frozen=True)
class Choice:
    """One of some strings."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """An array."""

    item: Shape


@dataclass(frozen=True)
class Table:
    """A map from names that the user chooses."""

    item: Shape


@dataclass(frozen=True)
class Record:
    """An object with known properties. They are read on access, because types are recursive."""

    python: type
    output: bool

    @functools.cached_property
    def properties(self) -> Mapping[str, Shape]:
        types = (
            _types.output_type_types(self.python)
            if self.output
            else _types.input_type_types(self.python)
        )
        return {name: _shape(hint) for name, hint in types.items()}

    @functools.cached_property
    def required(self) -> frozenset[str]:
        """Wire names of the required properties of an input of this type."""
        wire_names = _types.input_type_py_to_pulumi_names(self.python)
        return frozenset(
            wire_names[name]
            for name, parameter in inspect.signature(self.python).parameters.items()
            if parameter.default is inspect.Parameter.empty
        )


@dataclass(frozen=True)
class FileContent:
    """An asset or an archive."""


@dataclass(frozen=True)
class Anything:
    """What the package does not describe."""


@dataclass(frozen=True)
class OneOf:
    """Any of some shapes."""

    shapes: tuple[Shape, ...]


@functools.cache
def input_shape(token: str) -> Record:
    """What the resource type takes."""
    module = _resource_class(token).__module__
    # Not `<package>.network.SubnetArgs`: if a nested type has that name, the resource's arguments
    # are `SubnetInitArgs`. The resource's own module lists them first.
    namespace = sys.modules[module]
    return Record(getattr(namespace, namespace.__all__[0]), output=False)


@functools.cache
def output_properties(token: str) -> Mapping[str, Shape]:
    """What the resource type returns, by wire name."""
    hints = _types.resource_types(_resource_class(token))
    return {name: _shape(hint) for name, hint in hints.items() if name not in {"id", "urn"}}


def _resource_class(token: str) -> type:
    _, module, name = token.split(":")
    return cast(type, getattr(importlib.import_module(f"pulumi_azure_native.{module}"), name))


def _shape(hint: Any) -> Shape:
    """The shape behind a type hint such as Input[Optional[Sequence[Input['SubResourceArgs']]]]."""
    if hint is Any or hint is object:
        return Anything()
    if isinstance(hint, type):
        return _class_shape(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is collections.abc.Sequence:
        return Listing(_shape(arguments[0]))
    if origin is collections.abc.Mapping:
        return Table(_shape(arguments[1]))
    return _union_shape(arguments)


def _class_shape(cls: type) -> Shape:
    if issubclass(cls, enum.Enum):
        return Choice(tuple(str(member.value) for member in cls))
    if issubclass(cls, (asset.Asset, asset.Archive)):
        return FileContent()
    if _types.is_input_type(cls):
        return Record(cls, output=False)
    if _types.is_output_type(cls):
        return Record(cls, output=True)
    return Scalar(cls)


def _union_shape(members: tuple[Any, ...]) -> Shape:
    """Input[T] is a union of T, an awaitable and an Output: only T travels on the wire."""
    shapes = list(dict.fromkeys(_shape(member) for member in members if _travels(member)))
    choices = [shape for shape in shapes if isinstance(shape, Choice)]
    if choices and Scalar(str) in shapes:
        # "str or one of an enum's": Azure refuses other strings, the package lets them through.
        shapes.remove(Scalar(str))
    return shapes[0] if len(shapes) == 1 else OneOf(tuple(shapes))


def _travels(member: Any) -> bool:
    if member is type(None):
        return False
    origin = typing.get_origin(member)
    is_output = isinstance(origin, type) and origin.__module__ == "pulumi.output"
    return origin is not collections.abc.Awaitable and not is_output
