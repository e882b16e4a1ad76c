"""Check: the inputs as they are stored, with the names and locations that the program left out.

The rules are azure-native's (provider/pkg/provider/provider.go: applyDefaults): a resource keeps
its name and location, so that a changed default never replaces it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from lab.azure.arm.resource_types import AutoName, ResourceType
from lab.providers.azure_native import schema
from lab.providers.azure_native.validation import Problem, problems
from lab.providers.wire import UNKNOWN, Asset, Props, Secret, Value, reveal

CREATE_BEFORE_DELETE = "__createBeforeDelete"
"""Marks inputs with a generated name: only then can old and new exist side by side."""

API_VERSION = "azureApiVersion"

_OURS = frozenset({CREATE_BEFORE_DELETE, API_VERSION})

_LOCATION_ADVICE = (
    "Either set it explicitly or configure it with "
    "'pulumi config set azure-native:location <value>'."
)


class NamingMode(Enum):
    """What the stack's `pulumi:autonaming` asks for; see pulumi.com/docs on autonaming."""

    PROPOSE = 0
    ENFORCE = 1
    DISABLE = 2


@dataclass(frozen=True)
class Naming:
    """How to name a resource that has no name yet."""

    name: str  # in the program
    seed: bytes
    mode: NamingMode | None = None
    proposed: str = ""


# Returns the location of a resource group by name, None if there is no such group.
LocateGroup = Callable[[str], Awaitable[str | None]]


async def with_defaults(
    resource_type: ResourceType,
    *,
    olds: Props,
    news: Props,
    naming: Naming,
    location: str | None,
    locate_group: LocateGroup,
) -> Props:
    """The new inputs, with a name, a location and an API version if they have none."""
    inputs = dict(news)
    name_property = resource_type.name_property
    if not inputs.get(name_property):
        name, generated = _default_name(resource_type, olds, naming)
        if name is not None:
            inputs[name_property] = name
            if generated:
                inputs[CREATE_BEFORE_DELETE] = True
    if resource_type.located and not inputs.get("location"):
        found = await _default_location(olds, inputs, location, locate_group)
        if found is not None:
            inputs["location"] = found
    if resource_type.api_version:
        inputs.setdefault(API_VERSION, resource_type.api_version)
    return _with_secrets(resource_type, inputs)


def check_problems(resource_type: ResourceType, inputs: Props) -> list[Problem]:
    """All problems of inputs that have their defaults."""
    shown = {name: value for name, value in inputs.items() if name not in _OURS}
    found = list(problems(schema.input_shape(resource_type.token), shown))
    if not inputs.get(resource_type.name_property):
        found.append(_missing(resource_type.name_property))
    if resource_type.located and not inputs.get("location"):
        found.append(_missing("location", _LOCATION_ADVICE))
    return found + list(_source_problems(inputs.get("source")))


def _missing(name: str, advice: str = "") -> Problem:
    return Problem(name, f"missing required property '{name}'. {advice}".removesuffix(". "))


def _default_name(
    resource_type: ResourceType, olds: Props, naming: Naming
) -> tuple[Value | None, bool]:
    """A name, and whether it was generated (and so is unique)."""
    old = olds.get(resource_type.name_property)
    if old is not None:
        return old, bool(olds.get(CREATE_BEFORE_DELETE, False))
    strategy = resource_type.autoname
    match naming.mode:
        case NamingMode.DISABLE:
            return None, False
        case NamingMode.ENFORCE:
            return naming.proposed, True
        case NamingMode.PROPOSE if strategy in (AutoName.HEX, AutoName.COPY):
            return naming.proposed, True
    match strategy:
        case AutoName.HEX:
            return naming.name + _digits(naming.seed, naming.name, 8), True
        case AutoName.UUID:
            return str(uuid.UUID(_digits(naming.seed, naming.name, 32))), True
        case AutoName.COPY:
            return naming.name, False


def _digits(seed: bytes, name: str, count: int) -> str:
    """Hex digits. They are the same in preview and update, because the engine's seed is."""
    return hashlib.sha256(seed + name.encode()).hexdigest()[:count]


async def _default_location(
    olds: Props, inputs: Props, configured: str | None, locate_group: LocateGroup
) -> Value | None:
    if olds.get("location"):
        return olds["location"]
    if configured:
        return configured
    group = reveal(inputs.get("resourceGroupName"))
    if group is UNKNOWN:
        return UNKNOWN
    return await locate_group(group) if isinstance(group, str) else None


def _with_secrets(resource_type: ResourceType, inputs: Props) -> Props:
    for path in resource_type.secret_outputs:
        inputs = _with_secret(inputs, path.split("."))
    return inputs


def _with_secret(value: Value, path: list[str]) -> Value:
    """The value, with the property at the path as a secret."""
    if isinstance(value, Secret) or value is None:
        return value
    if not path:
        return Secret(value)
    if not isinstance(value, dict) or path[0] not in value:
        return value
    return {**value, path[0]: _with_secret(value[path[0]], path[1:])}


def _source_problems(source: Value) -> list[Problem]:
    """Refuses archives and URLs, which the real provider takes."""
    if not isinstance(source, Asset) or (not source.archive and source.kind != "uri"):
        return []
    reason = "the lab uploads a pulumi.FileAsset or pulumi.StringAsset, no archive and no URL"
    return [Problem("source", reason)]
