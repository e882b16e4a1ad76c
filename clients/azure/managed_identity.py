"""Tokens of the node's managed identity, from the instance metadata service."""

from __future__ import annotations

import httpx

from clients.clock import Clock

STORAGE = "https://storage.azure.com"
VAULT = "https://vault.azure.net"
METADATA = "http://169.254.169.254"
_PATH = "/metadata/identity/oauth2/token"
_MARGIN = 120.0  # seconds before its expiry at which a token is renewed


class TokenUnavailable(Exception):
    """The metadata service gave no token; the text says why. Try again."""


class ManagedIdentity:
    """A user-assigned identity: `client_id` selects it among those of the node."""

    def __init__(
        self,
        client_id: str,
        clock: Clock,
        *,
        metadata: str = METADATA,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._client_id = client_id
        self._clock = clock
        self._metadata = metadata
        # The address is link-local: a proxy would ask for the proxy's own identity.
        # Plain HTTP: verify=False only saves the certificates' memory.
        self._client = httpx.Client(
            transport=transport, trust_env=False, verify=False, timeout=10.0
        )
        self._tokens: dict[str, tuple[str, float]] = {}  # by resource, with their expiry

    def token(self, resource: str) -> str:
        """A bearer token for `resource` (STORAGE, VAULT). Raises TokenUnavailable."""
        token, until = self._tokens.get(resource, ("", 0.0))
        if token and self._clock.now() < until:
            return token
        query = {
            "api-version": "2018-02-01",
            "resource": resource,
            "client_id": self._client_id,
        }
        url = self._metadata + _PATH
        try:
            answer = self._client.get(url, params=query, headers={"Metadata": "true"})
        except httpx.TransportError as error:
            raise TokenUnavailable(f"the metadata service does not answer: {error}") from error
        if not answer.is_success:
            raise TokenUnavailable(
                f"the metadata service gives no token: {answer.status_code} {answer.text[:200]}"
            )
        body = answer.json()
        token = str(body["access_token"])
        until = self._clock.now() + max(0.0, float(body.get("expires_in", 300)) - _MARGIN)
        self._tokens[resource] = (token, until)
        return token
