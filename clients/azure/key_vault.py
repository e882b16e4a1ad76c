"""Secrets from Key Vault, with the node's managed identity. Values are never logged.

https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from clients.azure.managed_identity import VAULT, ManagedIdentity, TokenUnavailable
from clients.azure.tls import trust
from contract.certificate_source import CertificateSource

_API_VERSION = "7.4"
_TIMEOUT = 15.0


class VaultError(Exception):
    """The secret can't be read now; the text says why. Always try again: a role assignment
    needs minutes to spread, and an operator may correct a wrong name."""


@dataclass(kw_only=True, frozen=True)
class Secret:
    """A secret's value and its version."""

    value: str
    version: str


class Vault:
    """The stack's own vault, and others that this node's identity may read."""

    def __init__(
        self,
        url: str,
        identity: ManagedIdentity,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._identity = identity
        self._client = httpx.Client(
            transport=transport, verify=trust(), trust_env=False, timeout=_TIMEOUT
        )

    def fetch(self, source: CertificateSource) -> Secret:
        """The secret that the source names, in the newest version if it names none. Raises
        VaultError."""
        url = source.secret_id or f"{self._url}/secrets/{source.secret}/{source.version}"
        if not self._url:
            raise VaultError("VAULT_URL is not set: start the router with the node's settings")
        if _domain(url) != _domain(self._url):
            # With the token, the receiver could read every vault that this node may read.
            raise VaultError(f"{url} is not in a vault beside {self._url}: no token goes there")
        try:
            token = self._identity.token(VAULT)
            answer = self._client.get(
                url,
                params={"api-version": _API_VERSION},
                headers={"Authorization": f"Bearer {token}"},
            )
        except TokenUnavailable as error:
            raise VaultError(str(error)) from error
        except httpx.TransportError as error:
            raise VaultError(f"{url}: {error or type(error).__name__}") from error
        if answer.status_code != 200:
            raise VaultError(f"{url}: {answer.status_code} {_reason(answer)}")
        body = answer.json()
        return Secret(value=str(body["value"]), version=str(body["id"]).rpartition("/")[2])


def _domain(url: str) -> tuple[str, str]:
    """What all vaults of a cloud share: https and its domain, for instance vault.azure.net."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").partition(".")[2]


def _reason(answer: httpx.Response) -> str:
    """Key Vault's error message, which holds no values."""
    try:
        error = answer.json()["error"]
        return f"{error.get('code', '')} {error.get('message', '')}".strip()[:300]
    except (ValueError, KeyError, AttributeError, TypeError):
        return answer.reason_phrase
