"""Outages and delays of data plane services, switched on demand.

They are kept in memory only: after a restart every service is healthy.
"""

from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

Service = Literal["blob", "vault", "metadata"]


@dataclass(kw_only=True)
class Faults:
    """``down`` services reset connections, also during a transfer; ``delay`` is in seconds."""

    down: set[Service] = field(default_factory=set)
    delay: dict[Service, float] = field(default_factory=dict)

    def is_down(self, service: Service) -> bool:
        return service in self.down


def hang_up(request: web.BaseRequest) -> web.Response:
    """Resets the connection. aiohttp needs a response, but the client never gets it."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)
