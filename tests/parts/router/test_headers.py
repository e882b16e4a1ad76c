"""Which headers pass a router, and which it writes anew or drops."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.nginx.origin_headers import DROPPED, WRITTEN
from tests.parts.router.backends import Backend, Scripted, serving
from tests.parts.router.certificates import write_certificate
from tests.parts.router.harness import EtcdServer, Router, open_websocket, publish, running

Backends = tuple[Backend, Backend]
FORGED = "6.6.6.6"


def serve(etcd: EtcdServer, router: Router, address: str, name: str = "api", **route: Any) -> None:
    """A service on host <name>.test with one instance, applied by the router."""
    index = publish(
        etcd,
        name,
        route={"hosts": [f"{name}.test"], "http": True} | route,
        instances={"r1-1": {"http": address}},
    )
    router.wait_until_applied(index)


def raw(router: Router, *lines: str) -> bytes:
    """The answer to a request of exactly these lines."""
    with socket.create_connection(("127.0.0.1", router.http_port), timeout=5) as client:
        client.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return client.makefile("rb").read()


def told(router: Router, *lines: str) -> dict[str, str]:
    """The headers that the instance gets of a request of these lines."""
    head, _, body = raw(router, *lines).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return dict(json.loads(body)["headers"])


@contextmanager
def answering(etcd: EtcdServer, router: Router, *headers: str) -> Iterator[None]:
    """api.test answers with these headers, and `hello`."""
    head = "\r\n".join(["HTTP/1.1 200 OK", "Content-Length: 5", *headers, "", ""])
    instance = Scripted(head.encode() + b"hello")
    with serving(instance):
        serve(etcd, router, instance.address)
        yield


@pytest.fixture
def secure_router(etcd: EtcdServer, folder: Path) -> Iterator[Router]:
    write_certificate(folder, "api.test")
    with running(Router(etcd=etcd, folder=folder)) as router:
        yield router


def over_http_2(router: Router) -> str:
    """Status line, headers and content as curl got them."""
    return subprocess.run(
        [
            "curl", "--silent", "--show-error", "--http2", "--insecure", "--include",
            "--connect-to", f"api.test:443:127.0.0.1:{router.https_port}", "https://api.test/",
        ],
        capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip


# --- size -----------------------------------------------------------------------------------------


def test_32_kb_of_request_headers_pass(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0].address)
    one = {"Cookie": "s=" + "a" * 32_700}
    many = {f"X-Part-{n}": "a" * 4000 for n in range(8)}

    for headers in (one, many):
        answer = router.get("api.test", headers=headers)

        assert answer.status_code == 200
        assert headers.items() <= answer.json()["headers"].items()


def test_32_kb_of_answer_headers_pass(etcd: EtcdServer, router: Router) -> None:
    for headers in (
        ["Content-Security-Policy: " + "a" * 32_000],
        [f"Set-Cookie: c{n}={'a' * 2000}" for n in range(16)],
    ):
        with answering(etcd, router, *headers):
            answer = router.get("api.test")

        assert answer.status_code == 200
        assert answer.text == "hello"
        assert len(str(answer.headers)) > 32_000


# --- what concerns one connection only ------------------------------------------------------------


@pytest.mark.parametrize("offer", ["h2c", "TLS/1.2", "websocket, h2c", "h2c, websocket"])
def test_no_protocol_but_websocket_is_offered_to_an_instance(
    etcd: EtcdServer, router: Router, backends: Backends, offer: str
) -> None:
    serve(etcd, router, backends[0].address)

    with socket.create_connection(("127.0.0.1", router.http_port), timeout=5) as client:
        client.sendall(
            f"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            f"Upgrade: {offer}\r\nHTTP2-Settings: AAMAAABk\r\n\r\n".encode()
        )
        answer = client.recv(4096)

    assert answer.startswith(b"HTTP/1.1 200 ")
    for header in (b"Upgrade", b"HTTP2-Settings", b'"Connection"'):
        assert header not in answer


def test_websocket_gets_its_upgrade_header(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    for sticky in (False, True):
        serve(etcd, router, backends[0].address, sticky=sticky)

        with open_websocket(router, "api.test") as client:
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"


CONNECTION_FIELDS = [
    "Upgrade: h2,h2c",
    "Connection: Upgrade, Keep-Alive",
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
]


def test_fields_of_an_instances_connection_stay_there(etcd: EtcdServer, router: Router) -> None:
    with answering(etcd, router, *CONNECTION_FIELDS, "X-Kept: yes"):
        answer = router.get("api.test")

    assert answer.headers["X-Kept"] == "yes"
    assert not {"upgrade", "keep-alive", "proxy-connection"} & set(answer.headers)


def test_fields_of_an_instances_connection_never_leave_over_http_2(
    etcd: EtcdServer, secure_router: Router
) -> None:
    with answering(etcd, secure_router, *CONNECTION_FIELDS):
        answer = over_http_2(secure_router).lower()

    assert answer.startswith("http/2 200")
    assert answer.endswith("hello")
    for name in ("\nupgrade:", "\nconnection:", "\nkeep-alive:", "\nproxy-connection:"):
        assert name not in answer


# --- where a request came from --------------------------------------------------------------------


def test_no_header_that_claims_where_a_request_came_from_reaches_an_instance(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0].address)
    claims = [name for name in (*DROPPED, *WRITTEN) if name not in ("Host", "X-Request-Id")]

    seen = told(router, "GET / HTTP/1.1", "Host: api.test", *(f"{n}: {FORGED}" for n in claims))

    assert FORGED not in seen.values()
    assert {name: seen[name] for name in seen if name.startswith("X-")} == {
        "X-Request-Id": seen["X-Request-Id"],
        "X-Real-IP": "127.0.0.1",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "api.test",
        "X-Forwarded-Port": str(router.http_port),
    }


@pytest.mark.parametrize(
    "name",
    [
        *("Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"),
        *("X-Forwarded-Server", "X-Original-URL", "X-Rewrite-URL", "X-Envoy-External-Address"),
    ],
)
def test_common_forwarding_headers_are_dropped(name: str) -> None:
    assert name in (*DROPPED, *WRITTEN)


@pytest.mark.parametrize(
    "request_line", ["GET http://api.test/ HTTP/1.1", "GET http://API.test:80/ HTTP/1.1"]
)
def test_host_is_the_one_that_was_routed(
    etcd: EtcdServer, router: Router, backends: Backends, request_line: str
) -> None:
    serve(etcd, router, backends[0].address)

    seen = told(router, request_line, "Host: evil.test")

    assert (seen["Host"], seen["X-Forwarded-Host"]) == ("api.test", "api.test")


def test_request_that_names_no_host_still_has_one(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0].address, hosts=[])

    assert told(router, "GET / HTTP/1.0")["Host"] == "127.0.0.1"


# --- names with underscores -----------------------------------------------------------------------

SPELLINGS = ["X_Forwarded_For", "X_Forwarded-For", "x-forwarded_for", "X_Real_IP", "Remote_Addr"]


@pytest.mark.parametrize(
    "order", [("Host: api.test", "api_key: 1"), ("api_key: 1", "Host: api.test")]
)
def test_names_with_underscores_pass_where_the_route_asks_for_it(
    etcd: EtcdServer, router: Router, backends: Backends, order: tuple[str, str]
) -> None:
    serve(etcd, router, backends[0].address, underscore_headers=True)

    assert told(router, "GET / HTTP/1.1", *order)["api_key"] == "1"


def test_names_with_underscores_are_dropped_elsewhere(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0].address)
    serve(etcd, router, backends[1].address, "other", underscore_headers=True)

    assert "api_key" not in told(router, "GET / HTTP/1.1", "Host: api.test", "api_key: 1")


@pytest.mark.parametrize("asks", [False, True])
def test_headers_with_underscores_can_not_imitate_the_routers(
    etcd: EtcdServer, router: Router, backends: Backends, asks: bool
) -> None:
    serve(etcd, router, backends[0].address, underscore_headers=asks)
    serve(etcd, router, backends[1].address, "other", underscore_headers=True)
    forged = [f"{name}: {FORGED}" for name in SPELLINGS]

    for lines in (["Host: api.test", *forged], [*forged, "Host: api.test"]):
        assert FORGED not in told(router, "GET / HTTP/1.1", *lines).values()


# --- an instance does not command the router ------------------------------------------------------


def test_commands_of_an_instance_are_not_obeyed_and_not_passed_on(
    etcd: EtcdServer, router: Router
) -> None:
    commands = [
        "X-Accel-Redirect: /.router/404.html",
        "X-Accel-Limit-Rate: 1",
        "X-Accel-Charset: latin1",
        "X-Accel-Buffering: yes",
        "X-Accel-Expires: 60",
    ]
    with answering(etcd, router, *commands, "Content-Type: text/html"):
        answer = router.get("api.test")

    assert answer.text == "hello"
    assert answer.headers["Content-Type"] == "text/html"
    assert not [name for name in answer.headers if name.startswith("x-accel")]


def test_redirect_of_an_instance_is_passed_on_as_it_is(etcd: EtcdServer, router: Router) -> None:
    with answering(etcd, router, "Location: http://api/elsewhere"):
        answer: httpx.Response = router.get("api.test")

    assert answer.headers["Location"] == "http://api/elsewhere"
