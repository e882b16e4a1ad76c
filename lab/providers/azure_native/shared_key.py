"""Signing requests to a storage account with its key.

Source: "Authorize with Shared Key" in the Azure Storage REST documentation, for service versions
since 2015-02-21, where an empty body's length is signed as an empty string.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping

SERVICE_VERSION = "2023-11-03"

# In the order in which the values are signed.
_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def sign(
    method: str, url: str, headers: Mapping[str, str], *, account: str, key: str
) -> dict[str, str]:
    """The headers of a request to `url` (path and query), with date, version and signature.

    `key` is the account's key in base64; `headers` must hold Content-Length if there is a body.
    """
    signed = {
        **headers,
        "x-ms-date": email.utils.formatdate(usegmt=True),
        "x-ms-version": SERVICE_VERSION,
    }
    text = _string_to_sign(method, url, signed, account)
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    signed["Authorization"] = f"SharedKey {account}:{base64.b64encode(digest).decode()}"
    return signed


def _string_to_sign(method: str, url: str, headers: Mapping[str, str], account: str) -> str:
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    if lower.get("content-length") == "0":
        lower["content-length"] = ""
    ours = [f"{name}:{lower[name]}\n" for name in sorted(lower) if name.startswith("x-ms-")]
    plain = [lower.get(name, "") + "\n" for name in _SIGNED_HEADERS]
    return f"{method}\n{''.join(plain)}{''.join(ours)}{_canonical_resource(url, account)}"


def _canonical_resource(url: str, account: str) -> str:
    path, _, query = url.partition("?")
    parameters = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    lines = "".join(f"\n{name.lower()}:{value}" for name, value in parameters)
    return f"/{account}{path}{lines}"
