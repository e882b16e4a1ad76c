"""The inputs of `remote.Command`.

Names such as `remote.Connection` are types of the real plugin, which its error messages contain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from lab.providers.wire import Value


class Scalar(Enum):
    """A simple type, by its name in the real plugin's messages."""

    STRING = "string"
    BOOLEAN = "bool"
    INTEGER = "int"
    NUMBER = "float64"
    LOGGING = "remote.Logging"
    ANY = "interface {}"


@dataclass(frozen=True)
class ListOf:
    """A list whose items all have one type."""

    item: Type


@dataclass(frozen=True)
class MapOf:
    """A map from strings to values of one type."""

    item: Type


@dataclass(frozen=True, kw_only=True)
class Input:
    """One property of a struct. A property with a default may be left out."""

    type: Type
    required: bool = False
    default: Value = None
    secret: bool = False


@dataclass(frozen=True)
class Struct:
    """An object that has exactly these properties."""

    name: str
    inputs: dict[str, Input] = field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The name without its package, which nested messages use."""
        return self.name.rpartition(".")[2]


Type: TypeAlias = Scalar | ListOf | MapOf | Struct

_STRING = Input(type=Scalar.STRING)
_SECRET_STRING = Input(type=Scalar.STRING, secret=True)
_REQUIRED_STRING = Input(type=Scalar.STRING, required=True)

_ENDPOINT: dict[str, Input] = {
    "user": Input(type=Scalar.STRING, default="root"),
    "password": _SECRET_STRING,
    "host": _REQUIRED_STRING,
    "port": Input(type=Scalar.NUMBER, default=22),
    "privateKey": _SECRET_STRING,
    "privateKeyPassword": _SECRET_STRING,
    "agentSocketPath": _STRING,
    "dialErrorLimit": Input(type=Scalar.INTEGER, default=10),
    "perDialTimeout": Input(type=Scalar.INTEGER, default=15),
    "hostKey": _STRING,
}
PROXY = Struct("remote.ProxyConnection", _ENDPOINT)
CONNECTION = Struct("remote.Connection", {"proxy": Input(type=PROXY), **_ENDPOINT})

REMOTE_COMMAND = Struct(
    "remote.CommandInputs",
    {
        "triggers": Input(type=ListOf(Scalar.ANY)),
        "create": _STRING,
        "update": _STRING,
        "delete": _STRING,
        "stdin": _STRING,
        "environment": Input(type=MapOf(Scalar.STRING)),
        "addPreviousOutputInEnv": Input(type=Scalar.BOOLEAN),
        "logging": Input(type=Scalar.LOGGING),
        "connection": Input(type=CONNECTION, required=True, secret=True),
    },
)
