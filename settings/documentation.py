"""Generates docs/configuration.md and the schema in Pulumi.yaml from the models.

Each key is described once, at its definition.
"""

import ipaddress
import json
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from contract.ports import INSTANCE_PORTS
from settings.certificates import Certificate
from settings.fields import DOCKER_BRIDGE
from settings.health import Health
from settings.problems import bare
from settings.rules.ports import MOST_PORTS, RESERVED_PORTS
from settings.rules.stack import FLEET_UNITS, RESERVED_NAMES
from settings.service import Customer, CustomerLimits, Http, Limits, Port, Service
from settings.stack import Settings

SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    (
        "The stack: `fleet:…`",
        Settings,
        "Set them with `pulumi config set`, or in `Pulumi.<stack>.yaml`.",
    ),
    (
        "A certificate: `fleet:certificates.<name>`",
        Certificate,
        "Set exactly one of these two keys.",
    ),
    ("A service: `fleet:services.<name>`", Service, ""),
    (
        "`http`",
        Http,
        "Clients may use HTTP/1.0, HTTP/1.1, HTTP/2 and WebSockets; routers use HTTP/1.1 to the "
        "container. gRPC needs a port under `tcp`. "
        "[What a router passes on](architecture.md#what-a-router-passes-on) has the limits.",
    ),
    (
        "`health`",
        Health,
        "Set at most one of `http`, `tcp` and `command`. The other keys also work without them.",
    ),
    ("A port in `tcp` or `udp`", Port, ""),
    ("`limits`", Limits, ""),
    ("A customer: `fleet:services.<name>.customers.<customer>`", Customer, ""),
    ("`limits` of a customer", CustomerLimits, ""),
)
EXAMPLE = Path(__file__).with_name("example.yaml")


def page() -> str:
    """docs/configuration.md"""
    return "\n".join(
        [
            "# Configuration",
            "",
            "Written by `make docs` from the package `settings/`; do not edit.",
            "",
            "`pulumi preview` checks all values. It lists every problem with its path and value,",
            "and creates nothing.",
            "",
            "Put text in quotes where YAML could read it as something else: a number, a date, or",
            'true, false and null, such as `"1.10"` and `"2024-11-05"`. A value that YAML has',
            "changed is refused.",
            "",
            "```yaml",
            EXAMPLE.read_text().rstrip(),
            "```",
            *(line for section in SECTIONS for line in _section(*section)),
            "",
            "## Limits and reserved words",
            "",
            *_limits(),
            "",
        ]
    )


def project_schema() -> dict[str, dict[str, Any]]:
    """The keys that Pulumi.yaml declares. Pulumi requires a default for each optional key."""
    return {
        name: _declaration(field)
        for name, field in _keys(Settings)
        if field.is_required() or field.default is not None
    }


def _declaration(field: FieldInfo) -> dict[str, Any]:
    kind = bare(field.annotation)
    declared: dict[str, Any]
    if typing.get_origin(kind) is tuple:
        declared = {"type": "array", "items": {"type": "string"}}
    elif typing.get_origin(kind) is Mapping:
        declared = {"type": "object"}
    elif kind is bool:
        declared = {"type": "boolean"}
    elif kind is int or isinstance(field.default, int):
        declared = {"type": "integer"}
    else:
        declared = {"type": "string"}
    if not field.is_required():
        declared["default"] = _plain(field.default)
    return {**declared, "description": field.description}


def _section(title: str, model: type[BaseModel], text: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    if text:
        yield from (text, "")
    yield from ("| key | type | default | what it is |", "|---|---|---|---|")
    details = []
    for name, field in _keys(model):
        summary, *rest = re.split(r"(?<=\.) ", field.description or "", maxsplit=1)
        yield f"| `{name}` | {_kind(field.annotation)} | {_default(field)} | {summary} |"
        details += [f"- **`{name}`**: {text}" for text in rest]
    if details:
        yield from ("", *details)


def _keys(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(field.alias or name, field) for name, field in model.model_fields.items()]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default is None or isinstance(field.default, BaseModel):
        return "-"
    return f"`{json.dumps(_plain(field.default))}`"


def _plain(value: object) -> object:
    """A default as written in YAML."""
    if isinstance(value, ipaddress.IPv4Network):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


_WORDS: Mapping[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretStr: "secret text",
    ipaddress.IPv4Network: "IPv4 range",
}


_SECTION_NAMES: Mapping[object, str] = {CustomerLimits: "`limits` of a customer"}


def _kind(annotation: object) -> str:
    """A type in plain English."""
    annotation = bare(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _WORDS:
        return _WORDS[annotation]
    if origin is typing.Literal:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is Mapping:
        return f"map of names to {_kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"{_SECTION_NAMES.get(annotation, annotation.__name__.lower())} (below)"
    raise TypeError(f"no words for {annotation}")


def _impossible() -> dict[str, list[str]]:
    """Keys that a user may expect but that are not supported, grouped by reason."""
    found: dict[str, list[str]] = {}
    for place, model in (("", Service), ("http.", Http)):
        for key, reason in model.impossible.items():
            found.setdefault(reason, []).append(f"`{place}{key}`")
    return found


def _limits() -> Iterator[str]:
    yield (
        f"- One cluster carries about {FLEET_UNITS} units: two for each instance and three for "
        "each node. If you need more, put some services or customers into another stack "
        "([a cell](scaling.md#cells))."
    )
    yield f"- One cluster can publish {MOST_PORTS} TCP and UDP ports."
    for reason, keys in _impossible().items():
        verb = "is" if len(keys) == 1 else "are"
        yield f"- {', '.join(keys)} {verb} {reason.removeprefix('is ')}."
    yield f"- Services can't be called {', '.join(f'`{name}`' for name in sorted(RESERVED_NAMES))}."
    instances = f"{INSTANCE_PORTS[0]} to {INSTANCE_PORTS[-1]}"
    for protocol, ports in RESERVED_PORTS.items():
        taken = ", ".join(f"{port} ({owner})" for port, owner in ports.items())
        yield (
            f"- A service can't publish these {protocol.upper()} ports of the nodes: {taken}; nor "
            f"{instances}, which nodes give to instances."
        )
    yield (
        "- A service calls another one through the router of its node. Send the request to "
        f"`http://{DOCKER_BRIDGE[1]}/` (or https), with the other service's host name as `Host`. A "
        "container can't use the stack's public address. While the router is replaced or "
        "restarted, such a call fails: try again."
    )
    yield (
        "- Every container has the variables `SERVICE`, `INSTANCE`, `RELEASE` and `NODE_NAME`, and "
        "a customer's container also has `CUSTOMER`. The service's `env` can override them."
    )
