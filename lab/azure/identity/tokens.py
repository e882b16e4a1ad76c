"""Access tokens: JSON web tokens as Entra ID issues them, signed with the lab's own key.

Who may do what is not in a token; that is roles.py. The key never leaves the lab's state.
"""

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.azure.arm.store import write_private

LIFETIME = 24 * 3600
"""Seconds; what Azure gives to managed identities."""


class InvalidToken(Exception):
    """Why a token is refused, in the words of the answer."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks: ``object_id`` is what roles are assigned to, ``client_id`` what tokens name."""

    object_id: str
    client_id: str


@dataclass(frozen=True, kw_only=True)
class Token:
    text: str
    issued: int
    expires: int


class Tokens:
    """Issues and verifies. Two instances with the same key file accept each other's tokens."""

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
        """A bearer token for ``audience``, which is the resource exactly as it was asked for."""
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
        signed = f"{_encode({'typ': 'JWT', 'alg': 'HS256'})}.{_encode(claims)}"
        return Token(text=f"{signed}.{self._signature(signed)}", issued=now, expires=now + lifetime)

    def verify(self, text: str, audiences: frozenset[str]) -> Principal:
        """The token's principal. Raises InvalidToken for anything but a valid, current token."""
        signed, _, signature = text.rpartition(".")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            raise InvalidToken("Signature validation failed. The token is malformed or foreign.")
        claims = _decode(signed.rpartition(".")[2])
        now = self._clock()
        if not claims["nbf"] <= now < claims["exp"]:
            raise InvalidToken("Lifetime validation failed. The token is expired.")
        if claims["aud"].rstrip("/") not in audiences:
            raise InvalidToken(
                f"Audience validation failed. Audience '{claims['aud']}' did not match."
            )
        return Principal(object_id=claims["oid"], client_id=claims["appid"])

    def _signature(self, signed: str) -> str:
        digest = hmac.digest(self._key, signed.encode(), "sha256")
        return _unpadded(digest)


def bearer(authorization: str | None) -> str | None:
    """The token of an Authorization header, if it holds one."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _persisted_key(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, secrets.token_hex(32))
    return bytes.fromhex(path.read_text())


def _encode(part: Mapping[str, Any]) -> str:
    return _unpadded(json.dumps(part, separators=(",", ":")).encode())


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(part: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded
