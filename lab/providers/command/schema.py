"""The inputs of every resource and function, and nothing about what they do.

Names such as `remote.Connection` are the real plugin's types: they appear in its error messages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from lab.providers.wire import Value


class Scalar(Enum):
    """A simple type, by the name the real plugin's messages give it."""

    STRING = "string"
    BOOLEAN = "bool"
    INTEGER = "int"
    NUMBER = "float64"
    LOGGING = "remote.Logging"
    LOCAL_LOGGING = "local.Logging"
    ANY = "interface {}"


@dataclass(frozen=True)
class ListOf:
    """A list whose items all have one type."""

    item: Type


@dataclass(frozen=True)
class MapOf:
    """A map from strings to values of one type."""

    item: Type


@dataclass(frozen=True)
class Source:
    """A file, a text or an archive."""


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


Type: TypeAlias = Scalar | ListOf | MapOf | Source | Struct

_STRING = Input(type=Scalar.STRING)
_SECRET_STRING = Input(type=Scalar.STRING, secret=True)
_STRINGS = Input(type=ListOf(Scalar.STRING))
_REQUIRED_STRING = Input(type=Scalar.STRING, required=True)
_TRIGGERS = Input(type=ListOf(Scalar.ANY))

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
_CONNECTION = Input(type=CONNECTION, required=True, secret=True)

_LIFECYCLE: dict[str, Input] = {
    "triggers": _TRIGGERS,
    "create": _STRING,
    "update": _STRING,
    "delete": _STRING,
}
_EXECUTION: dict[str, Input] = {
    "stdin": _STRING,
    "environment": Input(type=MapOf(Scalar.STRING)),
    "addPreviousOutputInEnv": Input(type=Scalar.BOOLEAN),
}
_LOCAL_EXECUTION: dict[str, Input] = {
    **_EXECUTION,
    "logging": Input(type=Scalar.LOCAL_LOGGING),
    "interpreter": _STRINGS,
    "dir": _STRING,
    "assetPaths": _STRINGS,
    "archivePaths": _STRINGS,
}

REMOTE_COMMAND = Struct(
    "remote.CommandInputs",
    {
        **_LIFECYCLE,
        **_EXECUTION,
        "logging": Input(type=Scalar.LOGGING),
        "connection": _CONNECTION,
    },
)
COPY_TO_REMOTE = Struct(
    "remote.CopyToRemoteInputs",
    {
        "connection": _CONNECTION,
        "triggers": _TRIGGERS,
        "source": Input(type=Source(), required=True),
        "remotePath": _REQUIRED_STRING,
    },
)
COPY_FILE = Struct(
    "remote.CopyFileInputs",
    {
        "connection": _CONNECTION,
        "triggers": _TRIGGERS,
        "localPath": _REQUIRED_STRING,
        "remotePath": _REQUIRED_STRING,
    },
)
LOCAL_COMMAND = Struct("local.CommandInputs", {**_LIFECYCLE, **_LOCAL_EXECUTION})
LOCAL_RUN = Struct("local.RunInputs", {**_LOCAL_EXECUTION, "command": _REQUIRED_STRING})
