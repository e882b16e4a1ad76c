"""Finds ports on which another program of the node listens.

`nginx -t` skips ports in use. The reload would then fail as a whole, for every service.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from router.route_table import Listener

_KIND = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def in_use(listeners: Iterable[Listener]) -> frozenset[Listener]:
    """The listeners that nginx could not open."""
    return frozenset(listener for listener in listeners if not _is_free(*listener))


def _is_free(protocol: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, _KIND[protocol]) as probe:
        # as nginx does: closing connections of an earlier listener don't matter
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
