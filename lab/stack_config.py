"""A stack's config file as the lab reads it: which images and secrets it names.

Only a reading aid, for what has to be there before the program runs. Whether the config is right is
the program's to say: what is not of the expected shape is passed over here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.paths import PROJECT

Config = Mapping[str, Any]


def path(stack_name: str) -> Path:
    return PROJECT / f"Pulumi.{stack_name}.yaml"


def read(stack_name: str) -> dict[str, Any]:
    """The whole file: `config`, `encryptionsalt`."""
    found = yaml.safe_load(path(stack_name).read_text())
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
    """A value of `fleet:`, or nothing."""
    config = document.get("config")
    return config.get(f"fleet:{key}") if isinstance(config, dict) else None


def maps(value: object) -> Iterator[Config]:
    """Those values of a map that are maps themselves."""
    for one in value.values() if isinstance(value, dict) else ():
        if isinstance(one, dict):
            yield one
