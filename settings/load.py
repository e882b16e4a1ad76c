"""Reads the stack's configuration: the only place that touches `pulumi.Config`."""

import datetime
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import config as runtime_config
from pydantic import ValidationError

from settings import unquoted
from settings.problems import NO_VALUE, Problem, SettingsError, from_pydantic
from settings.rules import secrets, stack
from settings.stack import Settings

NAMESPACE = "fleet"
CLUSTER_NAME = re.compile(r"[a-z][a-z0-9-]{1,38}[a-z0-9]")
"""project-stack: it becomes a resource group, a DNS label and part of other Azure names."""


def load() -> Settings:
    """The settings of the current stack. SettingsError tells everything that is wrong."""
    if misplaced := list(_misplaced_secrets()):
        raise SettingsError(misplaced)  # alone: other problems would show their values
    raw = _raw()
    written = unquoted.written(_file())
    settings, problems = parse(raw, written)
    numbers = unquoted.numbers(raw, written)
    problems = [*_cluster_name(), *_plain_secrets(), *numbers, *problems]
    if settings is None or problems:
        raise SettingsError(problems)
    for warning in secrets.warnings(settings, datetime.datetime.now(datetime.UTC)):
        pulumi.log.warn(warning)
    return settings


def parse(
    raw: Mapping[str, Any], written: yaml.Node | None = None
) -> tuple[Settings | None, list[Problem]]:
    """Settings from plain values, and what is wrong with them. `written`: as the file has them.

    Rules that compare values are only asked once every value by itself is right.
    """
    changed = list(unquoted.dates(raw, written))
    places = {problem.path for problem in changed}
    try:
        # by way of JSON, where lists become tuples and texts become networks, yet "3" no number
        settings = Settings.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        others = from_pydantic(error, Settings)
        return None, [*changed, *(problem for problem in others if problem.path not in places)]
    return settings, changed or list(stack.problems(settings))


def _file() -> Path:
    """Where the stack's configuration usually lies. Pulumi runs the program in its folder."""
    return Path(os.environ.get("PULUMI_OPTION_CONFIG_FILE") or f"Pulumi.{pulumi.get_stack()}.yaml")


def _raw() -> dict[str, Any]:
    """All keys of our namespace, decoded. Pulumi hands every value over as text."""
    config = pulumi.Config(NAMESPACE)
    return {name: _decoded(name, config.require(name)) for name in _names()}


def _names() -> list[str]:
    prefix = f"{NAMESPACE}:"
    known = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    return sorted(key.removeprefix(prefix) for key in known if key.startswith(prefix))


def _decoded(name: str, text: str) -> object:
    """The value behind the text. Where a text is wanted, 0755 and true are texts, too."""
    if _wants_text(name):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text  # validation says what was wanted instead


def _wants_text(name: str) -> bool:
    schema = _schemas().get(name, {})
    kinds = [schema.get("type"), *(option.get("type") for option in schema.get("anyOf", []))]
    return "string" in kinds


@functools.cache
def _schemas() -> dict[str, Any]:
    """The JSON schema of each key."""
    found: dict[str, Any] = Settings.model_json_schema()["properties"]
    return found


def _cluster_name() -> Iterator[Problem]:
    name = f"{pulumi.get_project()}-{pulumi.get_stack()}"
    if not CLUSTER_NAME.fullmatch(name):
        yield Problem(
            path="the stack's name",
            value=pulumi.get_stack(),
            message=f"must be lower-case letters, digits and hyphens, and {name} at most 40 "
            "characters: Azure names follow from it",
        )


def _misplaced_secrets() -> Iterator[Problem]:
    """What the other keys say stands in units, in etcd, in the state or in an error, for everybody
    to read."""
    for name in _names():
        key = f"{NAMESPACE}:{name}"
        if name not in ("secrets", "sshPrivateKey") and runtime_config.is_config_secret(key):
            yield Problem(
                path=key,
                value=NO_VALUE,
                message="must hold no encrypted value: set it as fleet:secrets.NAME, and write "
                "NAME where a service or certificate wants a secret",
            )


def _plain_secrets() -> Iterator[Problem]:
    """A secret that lies in the stack's file in plain text has been given away already."""
    for name, command in (("sshPrivateKey", ""), ("secrets", "--path ")):
        key = f"{NAMESPACE}:{name}"
        given = pulumi.Config(NAMESPACE).get(name) not in (None, "{}")
        if given and not runtime_config.is_config_secret(key):
            example = f"{key}.NAME" if command else key
            yield Problem(
                path=key,
                value=NO_VALUE,
                message="must be secret: make a new one, since this one has been in a file, and "
                f"set it with `pulumi config set --secret {command}{example}`",
            )
