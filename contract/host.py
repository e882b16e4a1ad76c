"""Host names as a route or a certificate gives them."""

from __future__ import annotations

import re

from contract.codec import Malformed

# RFC 1123, with an optional wildcard as nginx takes it in server_name.
_HOST = re.compile(
    r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)


def check_host(host: str) -> None:
    """Raises Malformed."""
    if not _HOST.fullmatch(host):
        raise Malformed(f"{host!r} is not a host name")
