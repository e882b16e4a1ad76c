"""Tokens of the node's managed identity, from the instance metadata service."""

from __future__ import annotations

import httpx

from cluster.clock import Clock

_ADDRESS = "http://169.254.169.254/metadata/identity/oauth2/token"
_STORAGE = "https://storage.azure.com"
_MARGIN = 120.0  # seconds before its end at which a token is renewed


class TokenUnavailable(Exception):
    """The metadata service gave no token; the text has its reason. Worth another try."""


class ManagedIdentity:
    """A user-assigned identity: `client_id` picks it among those of the machine."""

    def __init__(
        self, client_id: str, clock: Clock, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._client_id = client_id
        self._clock = clock
        # The address is link-local: a proxy would ask for the proxy's own identity.
        self._client = httpx.Client(transport=transport, trust_env=False, timeout=10.0)
        self._token = ""
        self._until = 0.0

    def storage_token(self) -> str:
        """A bearer token for blob storage. Raises TokenUnavailable."""
        if self._token and self._clock.now() < self._until:
            return self._token
        query = {
            "api-version": "2018-02-01",
            "resource": _STORAGE,
            "client_id": self._client_id,
        }
        try:
            answer = self._client.get(_ADDRESS, params=query, headers={"Metadata": "true"})
        except httpx.TransportError as error:
            raise TokenUnavailable(f"the metadata service does not answer: {error}") from error
        if not answer.is_success:
            raise TokenUnavailable(
                f"the metadata service gives no token: {answer.status_code} {answer.text[:200]}"
            )
        body = answer.json()
        self._token = str(body["access_token"])
        self._until = self._clock.now() + max(0.0, float(body.get("expires_in", 300)) - _MARGIN)
        return self._token
