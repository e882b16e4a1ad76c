"""Throw-away secrets, for a stack whose config names some that it does not hold.

The sample stacks come without secrets. On Azure the program refuses to start and lists those that
have to be set. In the lab nothing is precious, so a copy of the config, in the lab's state folder,
gets values made up here; Pulumi is pointed to the copy, and no file of the clone changes. What the
config holds itself is left as it is.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from components.credentials import RENEWAL, new_certificate
from lab.machine.paths import state_root
from lab.pulumi import stack_config
from lab.pulumi.stack_config import Config
from settings.certificates import Contents, read
from tools.progress import StepFailed

_KEY_ITERATIONS = 1_000_000


def config_file(stack_name: str, passphrase: str) -> Path | None:
    """The stack's config with values for the secrets that it lacks; None when it lacks none."""
    text = stack_config.path(stack_name).read_text()
    document = stack_config.parse(text)
    given = stack_config.setting(document, "secrets") or {}
    if not isinstance(given, dict):
        return None  # the program will refuse it
    values = _values(stack_name, document, frozenset(given))
    if not values:
        return None
    encrypt = _encryption(stack_name, document.get("encryptionsalt"), passphrase)
    made = {name: encrypt(value) for name, value in values.items()}
    path = _folder(stack_name) / f"Pulumi.{stack_name}.yaml"
    _write_private(path, stack_config.with_secrets(text, made))
    return path


def made_up(stack_name: str) -> dict[str, str]:
    """The values that were made up for a stack, by secret."""
    file = _values_file(stack_name)
    values: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return values


def certificates_file(stack_name: str) -> Path | None:
    """The certificates made up for a stack, to be trusted by those who try it, if there are any."""
    file = _folder(stack_name) / "certificates.pem"
    return file if file.exists() else None


def forget(stack_name: str) -> None:
    """Remove what was made up for a stack that is gone."""
    shutil.rmtree(_folder(stack_name), ignore_errors=True)


def _values(stack_name: str, document: Config, given: frozenset[str]) -> dict[str, str]:
    """The values for the secrets that the config lacks. Once made they stay the same."""
    hosts_of = _certificates(document)
    lacking = sorted({*_service_secrets(document), *hosts_of} - given)
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
    """The secrets that are certificates, each with the names that it has to be good for.

    A host belongs to the certificate whose name is a part of it, else to the first one. One that
    no host needs is none to make up: the program says so.
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
    """The hosts of services, where `http` has them, and of customers, who have them themselves."""
    for one in stack_config.services(document):
        http = one.get("http")
        for hosts in (one.get("hosts"), http.get("hosts") if isinstance(http, dict) else None):
            if isinstance(hosts, list):
                yield from (host for host in hosts if isinstance(host, str))


def _name_for(host: str) -> str:
    """A wildcard where one is usual, so that another customer needs no other certificate."""
    _, _, parent = host.partition(".")
    return f"*.{parent}" if "." in parent else host


def _certificate(before: str | None, hosts: list[str]) -> str:
    """The one from before while it is right, else a new one: certificate and key as PEM."""
    now = datetime.datetime.now(datetime.UTC)
    if before and _is_right(read(before), hosts, now):
        return before
    key, certificate = new_certificate(hosts, [], now)
    return certificate + key


def _is_right(contents: Contents, hosts: list[str], now: datetime.datetime) -> bool:
    return set(hosts) == set(contents.hosts) and contents.not_after - now > RENEWAL


class _Encryption:
    """Encrypts values as Pulumi's passphrase provider does: AES-256-GCM with a PBKDF2 key.

    https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/config/crypt.go
    """

    def __init__(self, salt: bytes, passphrase: str) -> None:
        key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _KEY_ITERATIONS)
        self._cipher = AESGCM(key)

    def __call__(self, text: str) -> str:
        nonce = secrets.token_bytes(12)
        sealed = self._cipher.encrypt(nonce, text.encode(), None)
        return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def _encryption(stack_name: str, salt: object, passphrase: str) -> _Encryption:
    """`salt` is the config's, such as v1:SALT:v1:NONCE:PROOF; making the stack wrote it."""
    kind, _, rest = str(salt).partition(":")
    if kind != "v1":
        raise StepFailed(
            f"Making up secrets for {stack_name}",
            why=f"{stack_config.path(stack_name).name} has no encryptionsalt: its secrets are not "
            "encrypted with a passphrase",
            advice="Take a stack of the lab's own, or set the secrets that it lacks.",
        )
    return _Encryption(base64.b64decode(rest.partition(":")[0]), passphrase)


def _write_private(path: Path, text: str) -> None:
    """At once: somebody may just be reading it."""
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
