"""The switches by which the control plane breaks storage and vault on demand.

Only the front reads them. They live in memory: a restarted cloud is a healthy one.
"""

from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

Service = Literal["blob", "vault", "metadata"]


@dataclass(kw_only=True)
class Faults:
    """``down`` services reset connections, also those in mid-transfer; ``delay`` is in seconds."""

    down: set[Service] = field(default_factory=set)
    delay: dict[Service, float] = field(default_factory=dict)

    def is_down(self, service: Service) -> bool:
        return service in self.down

    def clear(self) -> None:
        self.down.clear()
        self.delay.clear()


def hang_up(request: web.BaseRequest) -> web.Response:
    """Breaks the connection. The response is for aiohttp's sake; nobody gets to read it."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)
