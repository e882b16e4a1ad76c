"""Access tokens: JSON web tokens as Entra ID issues them, signed with the lab's own key.

A token names a principal; `roles` decides what the principal may do. The key never leaves the lab's
state.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jwt

from lab.azure.arm.store import write_private

LIFETIME = 24 * 3600
"""Seconds, as on Azure for managed identities."""

_ALGORITHM = "HS256"


class InvalidToken(Exception):
    """Why a token is refused, as the answer says it."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A caller. Roles are assigned to ``object_id``; tokens contain ``client_id``."""

    object_id: str
    client_id: str


@dataclass(frozen=True, kw_only=True)
class Token:
    text: str
    issued: int
    expires: int


class Tokens:
    """Issues and verifies tokens. Objects with the same key file accept each other's tokens."""

    def __init__(
        self, directory: Path, tenant_id: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.tenant_id = tenant_id
        self._key = _persisted_key(directory / "token.key")
        self._clock = clock

    @property
    def issuer(self) -> str:
        return f"https://sts.windows.net/{self.tenant_id}/"

    def issue(self, principal: Principal, audience: str, lifetime: int = LIFETIME) -> Token:
        """A bearer token for ``audience``, which is the resource as the client named it."""
        now = int(self._clock())
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": self.tenant_id,
            "appid": principal.client_id,
            "idtyp": "app",
            "ver": "1.0",
        }
        text = jwt.encode(claims, self._key, _ALGORITHM)
        return Token(text=text, issued=now, expires=now + lifetime)

    def verify(self, text: str, audiences: frozenset[str]) -> Principal:
        """The token's principal. Raises InvalidToken for a token that is not valid now."""
        try:
            # Audience and times are checked below: audiences may end with a slash.
            claims = jwt.decode(
                text,
                self._key,
                [_ALGORITHM],
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidTokenError as error:
            message = "Signature validation failed. The token is malformed or foreign."
            raise InvalidToken(message) from error
        if not claims["nbf"] <= self._clock() < claims["exp"]:
            raise InvalidToken("Lifetime validation failed. The token is expired.")
        if claims["aud"].rstrip("/") not in audiences:
            raise InvalidToken(
                f"Audience validation failed. Audience '{claims['aud']}' did not match."
            )
        return Principal(object_id=claims["oid"], client_id=claims["appid"])


def bearer(authorization: str | None) -> str | None:
    """The token in an Authorization header; None if there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _persisted_key(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, secrets.token_hex(32))
    return bytes.fromhex(path.read_text())
