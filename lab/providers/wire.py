"""Property values on the wire between engine and provider.

The engine sends `google.protobuf.Struct`s. In them, secrets, assets and references are maps with a
signature, and an unknown value is a reserved string. `load` and `dump` lose nothing: a secret that
is loaded is dumped as a secret, so it never reaches the state in plain text.

    props = load_map(request.news)     # dict of plain Python values, Secret, Asset, ResRef, UNKNOWN
    plain = reveal(props)              # without Secret wrappers, for the cloud; UNKNOWN stays
    dump_map(props)                    # back on the wire
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

# None, bool, int, float, str, list[Value], dict[str, Value], or one of the classes below.
Value: TypeAlias = Any
Props: TypeAlias = dict[str, Value]

_SIGNATURE = rpc._special_sig_key
_SECRET = rpc._special_secret_sig
_ASSET = rpc._special_asset_sig
_ARCHIVE = rpc._special_archive_sig
_RESOURCE = rpc._special_resource_sig
_OUTPUT = rpc._special_output_value_sig
_UNKNOWN = rpc.UNKNOWN


class Unknown(Enum):
    """The type of `UNKNOWN`: a value that is known only after the deployment."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A value that must be stored encrypted. Its repr hides it, so that no log shows it."""

    value: Value

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True)
class Asset:
    """A file, a text or an archive.

    `kind` is text, path, uri, assets, or "elided": the engine sends only the hash in the old
    values of Diff and Update, and to Delete and Read.
    """

    kind: str
    value: Value = None
    hash: str = ""
    archive: bool = False


@dataclass(frozen=True)
class ResRef:
    """A reference to another resource of the program."""

    urn: str
    id: Value = None


def load(value: struct_pb2.Value) -> Value:
    """A wire value as a Python value. ValueError on an unknown signature."""
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value  # the wire has doubles only
            return int(number) if number.is_integer() else number
        case "string_value":
            return UNKNOWN if value.string_value == _UNKNOWN else value.string_value
        case "list_value":
            return [load(item) for item in value.list_value.values]
        case "struct_value":
            return _load_struct(value.struct_value)
        case _:
            return None


def load_map(struct: struct_pb2.Struct) -> Props:
    """The properties of a request, without those that are null: null and absent mean the same."""
    loaded = {name: load(value) for name, value in struct.fields.items()}
    return {name: value for name, value in loaded.items() if value is not None}


def _load_struct(struct: struct_pb2.Struct) -> Value:
    fields = struct.fields
    if _SIGNATURE not in fields:
        return {name: load(value) for name, value in fields.items()}
    match fields[_SIGNATURE].string_value:
        case signature if signature == _SECRET:
            return Secret(load(fields["value"]))
        case signature if signature in (_ASSET, _ARCHIVE):
            return _load_asset(fields, archive=signature == _ARCHIVE)
        case signature if signature == _RESOURCE:
            return ResRef(
                fields["urn"].string_value, load(fields["id"]) if "id" in fields else None
            )
        case signature if signature == _OUTPUT:
            inner = load(fields["value"]) if "value" in fields else UNKNOWN
            is_secret = "secret" in fields and fields["secret"].bool_value
            return Secret(inner) if is_secret else inner
        case signature:
            raise ValueError(f"the engine sent a value with the unknown signature {signature}")


def _load_asset(fields: Mapping[str, struct_pb2.Value], *, archive: bool) -> Asset:
    content_hash = fields["hash"].string_value if "hash" in fields else ""
    # Some senders set every field: an empty text counts only if nothing else is set.
    for kind in ("path", "uri", "assets", "text"):
        content = load(fields[kind]) if kind in fields else None
        if content is not None and (content != "" or kind == "text"):
            return Asset(kind, content, content_hash, archive)
    return Asset("elided", None, content_hash, archive)


def dump(value: Value) -> struct_pb2.Value:
    """A Python value as a wire value. TypeError on a type that has no wire form."""
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case Unknown():
            return struct_pb2.Value(string_value=_UNKNOWN)
        case bool():  # before int: a bool is an int in Python
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=float(value))
        case str():
            return struct_pb2.Value(string_value=value)
        case list() | tuple():
            items = [dump(item) for item in value]
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
        case dict():
            return struct_pb2.Value(struct_value=dump_map(value))
        case Secret():
            return dump({_SIGNATURE: _SECRET, "value": value.value})
        case Asset():
            return dump(_asset_fields(value))
        case ResRef():
            identity = {} if value.id is None else {"id": value.id}
            return dump({_SIGNATURE: _RESOURCE, "urn": value.urn, **identity})
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be sent to the engine")


def dump_map(props: Mapping[str, Value]) -> struct_pb2.Struct:
    """Properties for a response."""
    return struct_pb2.Struct(fields={name: dump(value) for name, value in props.items()})


def _asset_fields(asset: Asset) -> dict[str, Value]:
    fields: dict[str, Value] = {_SIGNATURE: _ARCHIVE if asset.archive else _ASSET}
    if asset.kind != "elided":
        fields[asset.kind] = asset.value
    if asset.hash:
        fields["hash"] = asset.hash
    return fields


def reveal(value: Value) -> Value:
    """The value without its Secret wrappers, at every depth; UNKNOWN and assets stay."""
    match value:
        case Secret():
            return reveal(value.value)
        case dict():
            return {name: reveal(item) for name, item in value.items()}
        case list():
            return [reveal(item) for item in value]
        case _:
            return value


def has_unknown(value: Value) -> bool:
    """True if the value is UNKNOWN or contains it."""
    match value:
        case Secret():
            return has_unknown(value.value)
        case dict():
            return any(has_unknown(item) for item in value.values())
        case list():
            return any(has_unknown(item) for item in value)
        case _:
            return value is UNKNOWN


def has_secret(value: Value) -> bool:
    """True if the value is a Secret or contains one."""
    match value:
        case Secret():
            return True
        case dict():
            return any(has_secret(item) for item in value.values())
        case list():
            return any(has_secret(item) for item in value)
        case _:
            return False
