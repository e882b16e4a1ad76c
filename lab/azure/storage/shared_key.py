"""The shared-key signature of blob requests, to verify clients' and to sign those to Azurite.

Pure. Source: "Authorize with Shared Key" in Azure's storage REST documentation, for versions from
2015-02-21 on (an empty line for a content length of 0).
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from urllib.parse import unquote_plus

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


def authorization(
    *,
    account: str,
    key: str,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    order: Callable[[str], str] = str,
) -> str:
    """The value of the Authorization header.

    ``path`` and ``query`` are as sent, still encoded; ``key`` is base64; ``order`` maps a header's
    name to its sort key, for servers that do not sort by code point.
    """
    text = string_to_sign(
        account=account, method=method, path=path, query=query, headers=headers, order=order
    )
    digest = hmac.digest(base64.b64decode(key), text.encode(), "sha256")
    return f"SharedKey {account}:{base64.b64encode(digest).decode()}"


def string_to_sign(
    *,
    account: str,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    order: Callable[[str], str] = str,
) -> str:
    lowered = {name.lower(): value for name, value in headers.items()}
    signed = {name: lowered.get(name, "") for name in _SIGNED_HEADERS}
    if signed["content-length"] == "0":
        signed["content-length"] = ""
    own = sorted((name for name in lowered if name.startswith("x-ms-")), key=order)
    lines = [method.upper(), *signed.values()]
    lines += [f"{name}:{' '.join(lowered[name].split())}" for name in own]
    lines += [f"/{account}{path}"]
    lines += [f"{name}:{','.join(sorted(values))}" for name, values in _queries(query)]
    return "\n".join(lines)


def _queries(query: str) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        found.setdefault(unquote_plus(name).lower(), []).append(unquote_plus(value))
    return sorted(found.items())
