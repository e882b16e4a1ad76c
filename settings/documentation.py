"""The settings as a page for users, and as the schema in Pulumi.yaml: both from the models.

A key is described once, beside its definition.
"""

import ipaddress
import json
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
        "Set with `pulumi config set`, or in `Pulumi.<stack>.yaml`.",
    ),
    ("A certificate: `fleet:certificates.<name>`", Certificate, "One of the two keys."),
    ("A service: `fleet:services.<name>`", Service, ""),
    (
        "`http`",
        Http,
        "HTTP/1.0, HTTP/1.1, HTTP/2 and WebSockets of clients; HTTP/1.1 to the container. gRPC "
        "needs a port of its own under `tcp`. Sizes, times and headers that pass: "
        "[What a router passes on](architecture.md#what-a-router-passes-on).",
    ),
    (
        "`health`",
        Health,
        "At most one of `http`, `tcp` and `command`; the other keys work without any of them, too.",
    ),
    ("`tcp` and `udp`: lists of", Port, ""),
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
            "Everything is checked at preview, all of it at once. Whatever is wrong is named with",
            "its path and its value, and nothing is created.",
            "",
            "Put text in quotes where YAML could take it for something else: a number, a date, or",
            'true, false and null, such as `"1.10"` and `"2024-11-05"`. What has lost its form is',
            "refused.",
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
    """The keys that Pulumi.yaml declares: Pulumi wants a default for each that is not required."""
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
    for name, field in _keys(model):
        yield f"| `{name}` | {_kind(field.annotation)} | {_default(field)} | {field.description} |"


def _keys(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(field.alias or name, field) for name, field in model.model_fields.items()]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default is None or isinstance(field.default, BaseModel):
        return "-"
    return f"`{json.dumps(_plain(field.default))}`"


def _plain(value: object) -> object:
    """A default as it would be written in YAML."""
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


def _kind(annotation: object) -> str:
    """A type in a reader's words."""
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
        return f"{annotation.__name__.lower()} (below)"
    raise TypeError(f"no words for {annotation}")


def _impossible() -> dict[str, list[str]]:
    """Keys that one could expect in a service, by the reason why there is none."""
    found: dict[str, list[str]] = {}
    for place, model in (("", Service), ("http.", Http)):
        for key, reason in model.impossible.items():
            found.setdefault(reason, []).append(f"`{place}{key}`")
    return found


def _limits() -> Iterator[str]:
    yield (
        f"- One cluster carries about {FLEET_UNITS} units, that is two for each instance and two "
        "for each machine. Past that, put services or customers into another stack (a cell)."
    )
    yield f"- One cluster can publish {MOST_PORTS} TCP and UDP ports."
    for reason, keys in _impossible().items():
        yield f"- {', '.join(keys)} {reason}."
    yield f"- Services can't be called {', '.join(f'`{name}`' for name in sorted(RESERVED_NAMES))}."
    instances = f"{INSTANCE_PORTS[0]} to {INSTANCE_PORTS[-1]}"
    for protocol, ports in RESERVED_PORTS.items():
        taken = ", ".join(f"{port} ({owner})" for port, owner in ports.items())
        yield f"- Taken {protocol.upper()} ports: {taken}, and {instances} (instances)."
    yield (
        "- One service calls another through the router of its own machine, which every container "
        f"reaches by `http://{DOCKER_BRIDGE[1]}/` (or https), with the other one's host name as "
        "`Host`. The stack's public address leads nowhere from a container. While that router is "
        "replaced or restarted, such a call fails: try again."
    )
    yield (
        "- In every container `SERVICE`, `INSTANCE`, `RELEASE` and `NODE_NAME` are set (and "
        "`CUSTOMER` in a customer's), unless the service's `env` says otherwise."
    )
