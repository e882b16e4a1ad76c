"""A stack's config file as the lab reads it: which images and secrets it names.

The lab reads it before the program runs. The program alone decides whether the config is right:
what does not have the expected shape is skipped here. Pulumi's YAML reader takes some values
differently from ours (no, 12:30, 1e3, dates), so every value is text here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.machine.paths import PROJECT

Config = Mapping[str, Any]


class _AsText(yaml.SafeLoader):
    """Reads every value as text, but still understands `<<`."""

    yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # noqa: RUF012


def path(stack_name: str) -> Path:
    return PROJECT / f"Pulumi.{stack_name}.yaml"


def read(stack_name: str) -> dict[str, Any]:
    """The whole file: `config`, `encryptionsalt`; all values as text."""
    return parse(path(stack_name).read_text())


def parse(text: str) -> dict[str, Any]:
    found = yaml.load(text, _AsText)
    return found if isinstance(found, dict) else {}


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
    """A value of `fleet:`, or None."""
    config = document.get("config")
    return config.get(f"fleet:{key}") if isinstance(config, dict) else None


def maps(value: object) -> Iterator[Config]:
    """Those values of a map that are maps themselves."""
    for one in value.values() if isinstance(value, dict) else ():
        if isinstance(one, dict):
            yield one
