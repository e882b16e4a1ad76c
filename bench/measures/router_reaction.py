"""Time from a key written in etcd until every router serves it.

The measurement announces and withdraws an instance of the running app under its own host name.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.report.results import Baseline, Figure, Result
from bench.session import Session
from bench.tunnel import to_node
from clients.etcd import Etcd
from clients.service_store import ServiceKeys
from contract.codec import encode
from contract.instance import Instance
from contract.keys import instance_key, service_key
from contract.route import Route

LIMIT = 1000.0
"""Milliseconds: "routers pick changes up within a second"."""
TIMES = 10
PAUSE = 1.5
"""Seconds between changes: longer than a router waits between two reloads."""
PATIENCE = 30.0
INTERVAL = 0.005
NAME, HOST = "bench-probe", "bench-probe.example"
INSTANCE = instance_key(NAME, "bench-1")
ROUTE = encode(Route(hosts=(HOST,), http=True, health="/health"))


@dataclass(frozen=True, kw_only=True)
class Reactions:
    """Milliseconds of the slowest router."""

    appeared: tuple[float, ...]
    vanished: tuple[float, ...]
    direct: Baseline


def measure(session: Session) -> Iterator[Result]:
    found = react(session)
    yield Figure(
        title="key written, until all routers serve it",
        unit="ms",
        samples=found.appeared,
        limit=LIMIT,
        baselines=(found.direct,),
        note="the slowest of three routers, including the write",
    )
    yield Figure(
        title="key removed, until no router serves it",
        unit="ms",
        samples=found.vanished,
        limit=LIMIT,
        baselines=(found.direct,),
    )


def react(session: Session) -> Reactions:
    """Announce an instance and withdraw it, several times."""
    stack = session.stack
    announced = next(one["address"] for one in stack.instances() if one["announced"])
    instance = encode(Instance(http=announced, node="bench"))
    routers = [session.address(node) for node in stack.nodes]
    appeared, vanished, beside = [], [], []
    with to_node(stack, stack.nodes[0]) as apis:
        keys = ServiceKeys(apis.etcd, NAME)
        try:
            keys.make_directories()
            keys.write_route(ROUTE)
            _until(routers, 503)
            for _ in range(TIMES):
                time.sleep(PAUSE)
                beside.append(_ask_directly(announced))
                began = time.monotonic()
                apis.etcd.set(INSTANCE, instance)
                appeared.append((_until(routers, 200) - began) * 1000)
                time.sleep(PAUSE)
                began = time.monotonic()
                apis.etcd.delete(INSTANCE)
                vanished.append((_until(routers, 503) - began) * 1000)
        finally:
            _clean_up(apis.etcd)
    direct = Baseline(title="one request to the app itself", value=sorted(beside)[TIMES // 2])
    return Reactions(appeared=tuple(appeared), vanished=tuple(vanished), direct=direct)


def _until(routers: Sequence[str], wanted: int) -> float:
    """Return when the last router answered with this status; ask each one repeatedly."""
    give_up = threading.Event()
    with ThreadPoolExecutor(len(routers)) as pool:
        answers = [pool.submit(_until_one, router, wanted, give_up) for router in routers]
        try:
            return max(one.result(timeout=PATIENCE) for one in answers)
        finally:
            give_up.set()


def _until_one(router: str, wanted: int, give_up: threading.Event) -> float:
    while not give_up.is_set():
        if _status(router, 80, HOST) == wanted:
            return time.monotonic()
        give_up.wait(INTERVAL)
    raise TimeoutError


def _ask_directly(address: str) -> float:
    """Milliseconds of one request on a new connection."""
    host, _, port = address.partition(":")
    began = time.monotonic()
    _status(host, int(port), host)
    return (time.monotonic() - began) * 1000


def _status(address: str, port: int, host: str) -> int | None:
    """The status of a request on a new connection: an old one may still have old routes."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/health", headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _clean_up(etcd: Etcd) -> None:
    if etcd.find(service_key(NAME)) is not None:
        etcd.delete(service_key(NAME), recursive=True)
