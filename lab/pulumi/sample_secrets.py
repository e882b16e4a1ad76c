"""Secrets made up for a stack whose config names some and holds none.

The sample stacks come without secrets. On Azure the program refuses to start and lists those that
have to be set. In the lab, a copy of the config in the lab's state folder gets values made up here,
and Pulumi reads that copy. No file of the clone changes, and no secret of the config is replaced.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from components.credentials import RENEWAL, new_certificate
from lab.machine.paths import state_root
from lab.pulumi import stack_config
from lab.pulumi.stack_config import Config
from settings.certificates import Contents, read
from tools.content_key import key_of

NAME = re.compile("[0-9A-Za-z-]+")
"""A secret's name. The program refuses others."""


def config_file(stack_name: str, pulumi: Callable[..., object]) -> Path | None:
    """Return a copy of the stack's config with values for the secrets that it lacks; None when it
    lacks none.

    `pulumi` runs Pulumi with these arguments: it encrypts the values. It is called only if the
    config or the values have changed since the last copy.
    """
    text = stack_config.path(stack_name).read_text()
    document = stack_config.parse(text)
    given = stack_config.setting(document, "secrets") or {}
    if not isinstance(given, dict):
        return None  # the program will refuse it
    values = _values(stack_name, document, frozenset(given))
    if not values:
        return None
    copy = _folder(stack_name) / f"Pulumi.{stack_name}.yaml"
    origin = _folder(stack_name) / "copied-from"
    key = key_of(text, json.dumps(values, sort_keys=True))
    if not (copy.exists() and origin.exists() and origin.read_text() == key):
        unfinished = copy.with_name("unfinished.yaml")
        _write_private(unfinished, text)
        pulumi(*set_command(unfinished, values))
        unfinished.chmod(0o600)
        unfinished.replace(copy)
        _write_private(origin, key)
    return copy


def set_command(file: Path, values: Mapping[str, str]) -> list[str]:
    """Return the arguments by which Pulumi encrypts secrets into a config file."""
    pairs = [f'fleet:secrets["{name}"]={value}' for name, value in values.items()]
    options = [part for pair in pairs for part in ("--secret", pair)]
    return ["config", "set-all", "--path", "--config-file", str(file), *options]


def made_up(stack_name: str) -> dict[str, str]:
    """Return the values that were made up for a stack, by the secret's name."""
    file = _values_file(stack_name)
    values: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return values


def certificates_file(stack_name: str) -> Path | None:
    """Return the file with the certificates made up for a stack, for clients to trust; None without
    any."""
    file = _folder(stack_name) / "certificates.pem"
    return file if file.exists() else None


def forget(stack_name: str) -> None:
    """Remove what was made up for a stack that was destroyed."""
    shutil.rmtree(_folder(stack_name), ignore_errors=True)


def _values(stack_name: str, document: Config, given: frozenset[str]) -> dict[str, str]:
    """The values for the secrets that the config lacks. A value stays the same once it is made."""
    hosts_of = _certificates(document)
    named = {*_service_secrets(document), *hosts_of} - given
    lacking = sorted(name for name in named if NAME.fullmatch(name))
    before = made_up(stack_name)
    values = {}
    for name in lacking:
        if name in hosts_of:
            values[name] = _certificate(before.get(name), hosts_of[name])
        else:
            values[name] = before.get(name) or secrets.token_urlsafe(24)
    if values != before:
        _write_private(_values_file(stack_name), json.dumps(values, indent=1))
        trusted = "".join(
            pem.partition("-----BEGIN PRIVATE KEY")[0]
            for name, pem in values.items()
            if name in hosts_of
        )
        if trusted:
            _write_private(_folder(stack_name) / "certificates.pem", trusted)
    return values


def _service_secrets(document: Config) -> Iterator[str]:
    for one in stack_config.services(document):
        named = one.get("secrets")
        if isinstance(named, dict):
            yield from (secret for secret in named.values() if isinstance(secret, str))


def _certificates(document: Config) -> dict[str, list[str]]:
    """The secrets that are certificates, each with the host names that it must cover.

    A host belongs to the certificate whose name is a label of the host, else to the first one. A
    certificate without hosts is not made up: the program refuses it.
    """
    certificates = stack_config.setting(document, "certificates")
    if not isinstance(certificates, dict):
        return {}
    secret_of = {
        name: one["secret"]
        for name, one in certificates.items()
        if isinstance(one, dict) and isinstance(one.get("secret"), str)
    }
    found: dict[str, set[str]] = {secret: set() for secret in secret_of.values()}
    for host in _hosts(document):
        fitting = [name for name in secret_of if name in host.split(".")]
        for name in (fitting or list(secret_of))[:1]:
            found[secret_of[name]].add(_name_for(host))
    return {secret: sorted(names) for secret, names in found.items() if names}


def _hosts(document: Config) -> Iterator[str]:
    """The hosts of services (below `http`) and of customers (directly)."""
    for one in stack_config.services(document):
        http = one.get("http")
        for hosts in (one.get("hosts"), http.get("hosts") if isinstance(http, dict) else None):
            if isinstance(hosts, list):
                yield from (host for host in hosts if isinstance(host, str))


def _name_for(host: str) -> str:
    """A wildcard below a domain, so that a new customer needs no new certificate."""
    _, _, parent = host.partition(".")
    return f"*.{parent}" if "." in parent else host


def _certificate(before: str | None, hosts: list[str]) -> str:
    """Certificate and key as PEM: those from before while they are right, else new ones."""
    now = datetime.datetime.now(datetime.UTC)
    if before and _is_right(read(before), hosts, now):
        return before
    key, certificate = new_certificate(hosts, [], now)
    return certificate + key


def _is_right(contents: Contents, hosts: list[str], now: datetime.datetime) -> bool:
    return set(hosts) == set(contents.hosts) and contents.not_after - now > RENEWAL


def _write_private(path: Path, text: str) -> None:
    """Replace the file in one step: another command may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".new")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    staged.replace(path)


def _values_file(stack_name: str) -> Path:
    return _folder(stack_name) / "secrets.json"


def _folder(stack_name: str) -> Path:
    return state_root() / "throwaway" / stack_name
