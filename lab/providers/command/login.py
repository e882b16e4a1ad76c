"""Credentials for an SSH server, and the check of its host key.

`prepare` finds what cannot work at any dial: an unreadable private key or host key, an agent that
does not answer.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh

from lab.providers.command import gotext
from lab.providers.command.connection import Endpoint
from lab.providers.command.errors import CommandError

_AGENT_VARIABLE = "SSH_AUTH_SOCK"

_PKCS8_ENCRYPTED = "BEGIN ENCRYPTED PRIVATE KEY"
_UNSUPPORTED = 'ssh: unsupported key type "ENCRYPTED PRIVATE KEY"'
_NOT_ENCRYPTED = "ssh: not an encrypted key"


@dataclass(frozen=True)
class Login:
    """Loaded credentials, for any number of dials."""

    endpoint: Endpoint
    keys: list[asyncssh.SSHKeyPair]
    methods: list[str]
    """SSH authentication methods, in their order."""
    host_key: asyncssh.SSHKey | None

    def client(self) -> LoginClient:
        """The authentication side of one dial."""
        return LoginClient(self)

    def options(self) -> dict[str, Any]:
        """Arguments for `asyncssh.connect`: this endpoint and nothing from the user's files."""
        pinned = self.host_key
        return {
            "username": self.endpoint.user,
            "config": [],
            "client_keys": None,
            "agent_path": None,
            "preferred_auth": self.methods or ["none"],
            "login_timeout": 0,
            "known_hosts": ([pinned], [], []) if pinned else None,
            # Only the pinned key's own algorithm, as Go's client: an RSA key then means SHA-1.
            **({"server_host_key_algs": [pinned.get_algorithm()]} if pinned else {}),
        }


class LoginClient(asyncssh.SSHClient):
    """Answers a server's questions, and records which methods were tried."""

    def __init__(self, login: Login) -> None:
        self._keys = list(login.keys)
        self._password = login.endpoint.password
        self.tried = ["none"]

    def _first_try(self, method: str) -> bool:
        if method in self.tried:
            return False
        self.tried.append(method)
        return True

    def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        self._first_try("publickey")
        return self._keys.pop(0) if self._keys else None

    def password_auth_requested(self) -> str | None:
        return self._password if self._first_try("password") else None

    def kbdint_auth_requested(self) -> str | None:
        return "" if self._first_try("keyboard-interactive") else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str]:
        """The password for every question."""
        del name, instructions, lang
        return [self._password or ""] * len(prompts)


async def prepare(endpoint: Endpoint) -> Login:
    """Load the credentials. Raises CommandError if they cannot work; this is never retried."""
    keys: list[asyncssh.SSHKeyPair] = []
    methods: list[str] = []
    if endpoint.private_key is not None:
        keys += asyncssh.load_keypairs([_private_key(endpoint)])
        methods.append("publickey")
    if endpoint.password is not None:
        methods += ["password", "keyboard-interactive"]
    agent = endpoint.agent_socket_path or os.environ.get(_AGENT_VARIABLE)
    if agent:
        agent_keys = await _agent_keys(agent)
        # Go tries each method once: with a key of its own, it never tries the agent's keys.
        if "publickey" not in methods:
            keys += agent_keys
            methods.append("publickey")
    return Login(endpoint, keys, methods, _host_key(endpoint))


def _private_key(endpoint: Endpoint) -> asyncssh.SSHKey:
    text, password = endpoint.private_key or "", endpoint.private_key_password
    if _PKCS8_ENCRYPTED in text:  # Go's ssh package does not read these at all
        raise CommandError(_UNSUPPORTED if password is None else _NOT_ENCRYPTED)
    try:
        key = asyncssh.import_private_key(text)
    except asyncssh.KeyImportError as error:
        if "assphrase" not in str(error):
            raise CommandError("ssh: no key found") from error
        if password is None:
            raise CommandError("ssh: this private key is passphrase protected") from error
        return _decrypted_key(text, password)
    if password is not None:
        is_openssh = "OPENSSH PRIVATE KEY" in text
        raise CommandError("ssh: key is not password protected" if is_openssh else _NOT_ENCRYPTED)
    return key


def _decrypted_key(text: str, password: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(text, password)
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        if "bcrypt" in str(error):
            raise CommandError(f"{error}: install the Python package bcrypt") from error
        raise CommandError("x509: decryption password incorrect") from error


def _host_key(endpoint: Endpoint) -> asyncssh.SSHKey | None:
    """The first key of authorized_keys lines, as Go's `ssh.ParseAuthorizedKey`.

    Text before the key type counts as options, so a known_hosts line works too.
    """
    if endpoint.host_key is None:
        return None
    for line in endpoint.host_key.splitlines():
        text = line.strip()
        for candidate in (text, text.partition(" ")[2]):
            with contextlib.suppress(asyncssh.KeyImportError):
                return asyncssh.import_public_key(candidate)
    raise CommandError("failed to parse host key: ssh: no key found")


async def _agent_keys(path: str) -> list[asyncssh.SSHKeyPair]:
    try:
        agent = await asyncssh.connect_agent(path)
    except OSError as error:
        reason = gotext.os_error(error)
        raise CommandError(f"dial unix {path}: connect: {reason}") from error
    return list(await agent.get_keys())
