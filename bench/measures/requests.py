"""Requests through the router, compared with bare nginx with the same log and back ends.

The back ends answer from memory, so they do not limit the router. The lab's load balancer is a
small program in the place of Azure's hardware: its figures say nothing about the product.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator

from bench.bare_nginx import HOST, running
from bench.load import full_load
from bench.report.results import Baseline, Figure, Latency, Result
from bench.session import Session
from bench.tunnel import to_node
from lab.machine.waiting import wait_until
from tools.progress import StepFailed

CONNECTIONS = 32
ROUNDS, SECONDS = 5, 4
WARM_UP = 1
MOST = 1.25
"""Requests of bare nginx for one of the router: the router serves at least 0.8 of them."""
PATIENCE = 20.0


def measure(session: Session) -> Iterator[Result]:
    stack = session.stack
    node = stack.nodes[0]
    address = session.address(node)
    with to_node(stack, node) as apis, running(stack, node, address, apis.etcd) as ways:
        for way in (ways.back_end, ways.bare, ways.router, stack.public_ip):
            _wait_for(way)
            _load("warm-up", way, WARM_UP)
        back_end = _load("a back end itself", ways.back_end)
        # in turns: other load on the machine affects both
        rounds = [
            (_load("bare nginx, back ends", ways.bare), _load("router, back ends", ways.router))
            for _ in range(ROUNDS)
        ]
        balanced = _load("load balancer, router, back ends", stack.public_ip)
    bare, routed = (sorted(side, key=_pace)[ROUNDS // 2] for side in zip(*rounds, strict=True))
    yield from (back_end, bare, routed, balanced)
    yield from compared(rounds, back_end)


def compared(rounds: list[tuple[Latency, Latency]], back_end: Latency) -> Iterator[Figure]:
    """Figures from the rounds, each a pair of bare nginx and the router."""
    bare, routed = zip(*rounds, strict=True)
    load = f"{CONNECTIONS} connections, answers of 1 kB, the same log"
    yield Figure(
        title="requests through the router",
        unit="requests/s",
        samples=tuple(one.per_second for one in routed),
        baselines=(
            Baseline(title="bare nginx", value=sorted(map(_pace, bare))[ROUNDS // 2]),
            Baseline(title="one of three back ends itself", value=back_end.per_second),
        ),
        note=load,
    )
    yield Figure(
        title="the slowest of 100 through the router",
        unit="ms",
        samples=tuple(one.p99 for one in routed),
        baselines=(
            Baseline(title="bare nginx", value=sorted(one.p99 for one in bare)[ROUNDS // 2]),
        ),
        note=load,
    )
    yield Figure(
        title="requests of bare nginx for one of the router",
        unit="",
        samples=tuple(plain.per_second / ours.per_second for plain, ours in rounds),
        limit=MOST,
    )


def _load(title: str, address: str, seconds: int = SECONDS) -> Latency:
    return full_load(
        f"{title}: {CONNECTIONS} connections",
        f"http://{address}/",
        host=HOST,
        connections=CONNECTIONS,
        seconds=seconds,
    )


def _pace(load: Latency) -> float:
    return load.per_second


def _wait_for(address: str) -> None:
    wait_until(
        lambda: _answers(address),
        patience=PATIENCE,
        failure=lambda: StepFailed(
            f"Reaching the back ends through {address}",
            why=f"no answer for {HOST}",
            advice="Look at `docker ps --all` on the node.",
        ),
    )


def _answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": HOST})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
