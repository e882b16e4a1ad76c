"""Reads the stack's configuration. No other module uses `pulumi.Config`."""

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
"""project-stack. It becomes the resource group, a DNS label and part of other Azure names."""


def load() -> Settings:
    """The settings of the current stack. SettingsError lists all problems."""
    if misplaced := list(_misplaced_secrets()):
        raise SettingsError(misplaced)  # without other problems: those would print the values
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
    """Settings from plain values, and their problems. `written` is what the stack's file contains.

    Rules that compare values are checked only once each single value is valid.
    """
    changed = list(unquoted.dates(raw, written))
    places = {problem.path for problem in changed}
    try:
        # In JSON mode pydantic makes tuples of lists and networks of texts, but no number of "3".
        settings = Settings.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        others = from_pydantic(error, Settings)
        return None, [*changed, *(problem for problem in others if problem.path not in places)]
    return settings, changed or list(stack.problems(settings))


def _file() -> Path:
    """The usual path of the stack's configuration. Pulumi runs the program in that folder."""
    return Path(os.environ.get("PULUMI_OPTION_CONFIG_FILE") or f"Pulumi.{pulumi.get_stack()}.yaml")


def _raw() -> dict[str, Any]:
    """All keys of our namespace, decoded. Pulumi passes every value as text."""
    config = pulumi.Config(NAMESPACE)
    return {name: _decoded(name, config.require(name)) for name in _names()}


def _names() -> list[str]:
    prefix = f"{NAMESPACE}:"
    known = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    return sorted(key.removeprefix(prefix) for key in known if key.startswith(prefix))


def _decoded(name: str, text: str) -> object:
    """The value of a text that may be JSON. Where the key is a text, 0755 and true stay texts."""
    if _wants_text(name):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text  # validation refuses it


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
            message=f"must have only lower-case letters, digits and hyphens, and {name} at most 40 "
            "characters: Azure names are derived from it",
        )


def _misplaced_secrets() -> Iterator[Problem]:
    """Encrypted values under other keys: those appear in units, etcd, the state and errors."""
    for name in _names():
        key = f"{NAMESPACE}:{name}"
        if name not in ("secrets", "sshPrivateKey") and runtime_config.is_config_secret(key):
            yield Problem(
                path=key,
                value=NO_VALUE,
                message="must not contain an encrypted value: set it as fleet:secrets.NAME, and "
                "write NAME where a service or certificate needs the secret",
            )


def _plain_secrets() -> Iterator[Problem]:
    """Secrets in plain text. Once in the stack's file, they are no longer secret."""
    for name, command in (("sshPrivateKey", ""), ("secrets", "--path ")):
        key = f"{NAMESPACE}:{name}"
        given = pulumi.Config(NAMESPACE).get(name) not in (None, "{}")
        if given and not runtime_config.is_config_secret(key):
            example = f"{key}.NAME" if command else key
            yield Problem(
                path=key,
                value=NO_VALUE,
                message="must be secret. This one was in a file in plain text, so make a new one, "
                f"and set it with `pulumi config set --secret {command}{example}`",
            )
