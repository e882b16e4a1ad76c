"""Requests and answers pass a router as they are, when they are, and are logged once."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend, Scripted, serving
from tests.parts.router.harness import EtcdServer, Router, publish

Backends = tuple[Backend, Backend]
EVENT = b"data: hello\n\n"


def serve(etcd: EtcdServer, router: Router, address: str, **route: Any) -> None:
    index = publish(
        etcd,
        "api",
        route={"hosts": ["api.test"], "http": True} | route,
        instances={"r1-1": {"http": address}},
    )
    router.wait_until_applied(index)


@pytest.mark.parametrize("sticky", [False, True])
def test_methods_and_encoded_paths_arrive_as_they_were_sent(
    etcd: EtcdServer, router: Router, backends: Backends, sticky: bool
) -> None:
    serve(etcd, router, backends[0].address, sticky=sticky)
    path = "/a%2Fb//c;d=1?x=%3C&y=a+b"

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        told = router.get("api.test", path, method=method).json()
        assert (told["method"], told["path"]) == (method, path)

    head = router.get("api.test", path, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0


def test_client_that_waits_for_leave_to_send_gets_it(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0].address)

    with socket.create_connection(("127.0.0.1", router.http_port), timeout=5) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n"
            b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"hello")
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")


def test_pages_of_the_router_have_no_address(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0].address)

    assert router.get("api.test", "/.router/503.html").status_code == 404
    assert backends[0].requests == []


@pytest.mark.parametrize(
    ("header", "event"),
    [
        (b"Connection: close", EVENT),  # its end is the connection's
        (b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(EVENT), EVENT)),
    ],
)
def test_event_reaches_the_client_when_it_is_sent(
    etcd: EtcdServer, router: Router, header: bytes, event: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + header + b"\r\n\r\n"
    instance = Scripted(head + event, event, pause=5.0)
    with serving(instance):
        serve(etcd, router, instance.address)

        with socket.create_connection(("127.0.0.1", router.http_port), timeout=2) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
            received = b""
            while EVENT not in received:
                received += client.recv(4096)  # fails after 2 s, before the second event


def test_each_request_is_logged_once_and_within_a_second(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0].address)

    asked = time.monotonic()
    for n in range(30):
        router.get("api.test", headers={"X-Request-Id": f"logged-{n:04}"})

    def logged() -> list[str]:
        lines = router.access_log.read_text().splitlines(keepends=True)
        assert all(line.endswith("}\n") for line in lines)  # whole lines only
        ids = [json.loads(line).get("id", "") for line in lines]  # none of TCP and UDP
        return [one for one in ids if one.startswith("logged-")]

    eventually(lambda: len(logged()) >= 30, what="all are logged")
    assert time.monotonic() - asked < 5  # also on a busy machine; nginx waits for one at most
    assert sorted(logged()) == [f"logged-{n:04}" for n in range(30)]
