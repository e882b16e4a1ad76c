"""What the way through load balancer and router costs, against asking the app's container itself.

The load balancer of the lab is a small program that stands where Azure's hardware is: the way
through the router alone says more about the product.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Figure, Latency, Reference, Result
from bench.load import burst
from bench.session import Session

PATH = "/json"
WARM_UP = 100
ALONE, TOGETHER = 500, 3000
CONNECTIONS = 8


def measure(session: Session) -> Iterator[Result]:
    stack = session.stack
    announced = next(one["address"] for one in stack.instances() if one["announced"])
    router = session.address(stack.nodes[0])
    ways = {
        "the app itself": f"http://{announced}{PATH}",
        "router, app": f"http://{router}{PATH}",
        "load balancer, router, app": f"http://{stack.public_ip}{PATH}",
    }
    for url in ways.values():
        burst("warm-up", url, connections=CONNECTIONS, requests=WARM_UP)
    alone = [
        burst(f"{way}: 1 connection", url, connections=1, requests=ALONE)
        for way, url in ways.items()
    ]
    together = [
        burst(f"{way}: {CONNECTIONS} connections", url, connections=CONNECTIONS, requests=TOGETHER)
        for way, url in ways.items()
    ]
    yield from alone
    yield from together
    yield _compared(
        "requests through load balancer and router", together, f"{CONNECTIONS} connections"
    )


def _compared(title: str, loads: list[Latency], load: str) -> Figure:
    """Of the whole way against the shorter ones."""
    direct, routed, whole = loads
    return Figure(
        title=title,
        unit="requests/s",
        samples=(whole.per_second,),
        references=(
            Reference(title="the router and the app", value=routed.per_second),
            Reference(title="one app instance itself", value=direct.per_second),
        ),
        note=f"{load}; both instances serve behind the router, one is asked directly",
    )
