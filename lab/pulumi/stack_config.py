"""A stack's config file as the lab reads it: which images and secrets it names.

Only a reading aid, for what has to be there before the program runs. Whether the config is right is
the program's to say: what is not of the expected shape is passed over here. And what a value is,
Pulumi's YAML reader says, which differs from ours (no, 12:30, 1e3, dates): so every value is text
here, and the file's own text goes to Pulumi.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.machine.paths import PROJECT

Config = Mapping[str, Any]


class _AsText(yaml.SafeLoader):
    """Takes every value for text, and still knows `<<`."""

    yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # noqa: RUF012


def path(stack_name: str) -> Path:
    return PROJECT / f"Pulumi.{stack_name}.yaml"


def read(stack_name: str) -> dict[str, Any]:
    """The whole file: `config`, `encryptionsalt`; all values as text."""
    return parse(path(stack_name).read_text())


def parse(text: str) -> dict[str, Any]:
    found = yaml.load(text, _AsText)
    return found if isinstance(found, dict) else {}


def with_secrets(text: str, encrypted: Mapping[str, str]) -> str:
    """The text of a config file with more secrets. Every other character stays as it is."""
    new = {name: {"secure": value} for name, value in encrypted.items()}
    config = _value(yaml.compose(text, _AsText), "config")
    if not isinstance(config, yaml.MappingNode):
        raise ValueError("the file has no config")
    secrets = _value(config, "fleet:secrets")
    if secrets is None:
        return _inserted(text, config, {"fleet:secrets": new})
    if isinstance(secrets, yaml.MappingNode):
        return _inserted(text, secrets, new)
    # the key without a value
    place = secrets.start_mark.index
    return f"{text[:place]} {json.dumps(new)}{text[place:]}"


def _inserted(text: str, into: yaml.MappingNode, entries: Mapping[str, object]) -> str:
    """The text with entries at the start of a map, in the map's own style."""
    if into.flow_style:
        place = text.index("{", into.start_mark.index) + 1
        comma = ", " if into.value else ""
        return f"{text[:place]}{json.dumps(entries)[1:-1]}{comma}{text[place:]}"
    first = into.value[0][0].start_mark
    indent = " " * first.column
    lines = (
        f"{json.dumps(name)}: {json.dumps(value)}\n{indent}" for name, value in entries.items()
    )
    return f"{text[: first.index]}{''.join(lines)}{text[first.index :]}"


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def services(document: Config) -> Iterator[Config]:
    """The settings of all services and, after each, those of its customers."""
    for service in maps(setting(document, "services")):
        yield service
        yield from maps(service.get("customers"))


def images(document: Config) -> list[str]:
    """Every image that services and their customers name."""
    found = (one.get("image") for one in services(document))
    return [image for image in found if isinstance(image, str)]


def setting(document: Config, key: str) -> Any:
    """A value of `fleet:`, or nothing."""
    config = document.get("config")
    return config.get(f"fleet:{key}") if isinstance(config, dict) else None


def maps(value: object) -> Iterator[Config]:
    """Those values of a map that are maps themselves."""
    for one in value.values() if isinstance(value, dict) else ():
        if isinstance(one, dict):
            yield one
