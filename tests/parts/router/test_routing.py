"""What clients get from a router: real etcd, confd and nginx."""

from __future__ import annotations

import json
import socket
from collections import Counter
from typing import Any

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend, TcpEcho, UdpEcho, serving
from tests.parts.router.harness import EtcdServer, Router, open_websocket, publish
from tests.ports import free_port

Backends = tuple[Backend, Backend]


def serve_api(etcd: EtcdServer, router: Router, *backends: Backend, **route: Any) -> None:
    """A service `api` on host api.test with these instances, applied by the router."""
    index = publish(
        etcd,
        "api",
        route={"hosts": ["api.test"], "http": True} | route,
        instances={f"r1-{n}": {"http": b.address} for n, b in enumerate(backends, 1)},
    )
    router.wait_until_applied(index)


def test_requests_of_a_host_are_spread_over_the_instances(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve_api(etcd, router, *backends)

    answers = Counter(router.get("api.test").json()["instance"] for _ in range(20))

    assert set(answers) == {"one", "two"}


def test_unknown_host_gets_the_404_page(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve_api(etcd, router, *backends)

    answer = router.get("nobody.test")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/html"
    assert "No service has this host name" in answer.text


def test_service_without_hosts_takes_every_unknown_host(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    one, two = backends
    serve_api(etcd, router, one)
    index = publish(
        etcd,
        "site",
        route={"hosts": [], "http": True},
        instances={"r1-1": {"http": two.address}},
    )

    router.wait_until_applied(index)

    assert router.get("nobody.test").json()["instance"] == "two"
    assert router.get("api.test").json()["instance"] == "one"


def test_service_without_instances_answers_503_with_retry_after(
    etcd: EtcdServer, router: Router
) -> None:
    serve_api(etcd, router)

    answer = router.get("api.test")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "No instance of this service is running" in answer.text


def test_websocket_is_passed_through(etcd: EtcdServer, router: Router, backends: Backends) -> None:
    serve_api(etcd, router, backends[0])

    with open_websocket(router, "api.test") as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def test_instance_gets_true_headers_about_the_client(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve_api(etcd, router, backends[0])

    answer = router.get(
        "api.test", headers={"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Proxy": "evil"}
    )

    told = answer.json()["headers"]
    assert told["X-Forwarded-For"] == "127.0.0.1"
    assert told["X-Real-IP"] == "127.0.0.1"
    assert told["X-Forwarded-Proto"] == "http"
    assert told["X-Forwarded-Host"] == "api.test"
    assert told["Host"] == "api.test"
    assert "Proxy" not in told


def test_request_id_of_the_caller_is_kept_returned_and_logged(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve_api(etcd, router, backends[0])

    answer = router.get("api.test", "/page?q=1", headers={"X-Request-Id": "caller-0001"})

    assert answer.json()["headers"]["X-Request-Id"] == "caller-0001"
    assert answer.headers["X-Request-Id"] == "caller-0001"

    def logged() -> dict[str, Any] | None:
        entries = map(json.loads, router.access_log.read_text().splitlines())
        return next((entry for entry in entries if entry.get("id") == "caller-0001"), None)

    entry = eventually(logged, what="the request is logged")
    assert entry["service"] == "api"
    assert entry["uri"] == "/page?q=1"
    assert entry["status"] == 200
    assert entry["upstream"] == backends[0].address


def test_odd_request_id_is_replaced(etcd: EtcdServer, router: Router, backends: Backends) -> None:
    serve_api(etcd, router, backends[0])

    answer = router.get("api.test", headers={"X-Request-Id": "<script>"})

    assert len(answer.headers["X-Request-Id"]) == 32


def test_dead_instance_fails_no_request(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    one, two = backends
    serve_api(etcd, router, one, two)

    one.kill()

    answers = [router.get("api.test") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["instance"] for answer in answers} == {"two"}


def test_post_to_a_dead_instance_goes_to_another(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    one, two = backends
    serve_api(etcd, router, one, two)

    one.kill()

    answers = [router.get("api.test", method="POST") for _ in range(4)]
    assert {answer.status_code for answer in answers} == {200}


def test_request_that_an_instance_is_too_busy_for_is_asked_of_another(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    one, two = backends
    one.fail_here = 503
    serve_api(etcd, router, one, two)

    statuses = {router.get("api.test", "/fail-here").status_code for _ in range(4)}

    assert statuses == {200}


def test_post_that_reached_an_instance_is_never_sent_to_another(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve_api(etcd, router, *backends)

    answer = router.get("api.test", "/status=503", method="POST")

    assert answer.status_code == 503
    assert sum(len(backend.requests) for backend in backends) == 1


def test_error_of_an_application_is_not_asked_for_twice(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve_api(etcd, router, *backends)

    for status in (404, 500):
        answer = router.get("api.test", f"/status={status}")

        assert answer.status_code == status
        assert answer.json()["instance"] in {"one", "two"}
    assert sum(len(backend.requests) for backend in backends) == 2


def test_503_of_an_application_is_passed_on_without_affecting_others(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve_api(etcd, router, *backends)

    for _ in range(6):
        busy = router.get("api.test", "/status=503")

        assert busy.status_code == 503
        assert busy.json()["instance"] in {"one", "two"}
        assert router.get("api.test").status_code == 200


def test_http_is_redirected_where_the_route_asks_for_it(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve_api(etcd, router, *backends, https_redirect=True)

    answer = router.get("api.test", "/a?b=c")

    assert answer.status_code == 308
    assert answer.headers["Location"] == "https://api.test/a?b=c"


def test_tcp_service_is_reached_on_its_own_port(etcd: EtcdServer, router: Router) -> None:
    port, voice = free_port(), TcpEcho("voice")
    with serving(voice):
        address = f"127.0.0.1:{voice.server_address[1]}"
        index = publish(
            etcd,
            "voice",
            route={"hosts": [], "http": False, "tcp": [{"port": port}]},
            instances={"r1-1": {"tcp": {str(port): address}}},
        )
        router.wait_until_applied(index)

        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"voice hello\n"


def test_udp_service_is_reached_on_its_own_port(etcd: EtcdServer, router: Router) -> None:
    port, voice = free_port(), UdpEcho("voice")
    with serving(voice), socket.socket(type=socket.SOCK_DGRAM) as client:
        address = f"127.0.0.1:{voice.server_address[1]}"
        index = publish(
            etcd,
            "voice",
            route={"hosts": [], "http": False, "udp": [{"port": port}]},
            instances={"r1-1": {"udp": {str(port): address}}},
        )
        router.wait_until_applied(index)

        client.settimeout(5)
        client.sendto(b"hello", ("127.0.0.1", port))
        assert client.recv(100) == b"voice hello"


def test_every_router_picks_the_same_instance_for_a_client(
    etcd: EtcdServer, router: Router
) -> None:
    port = free_port()
    voices = [TcpEcho(name) for name in ("one", "two", "three")]
    with serving(*voices):
        instances = {
            f"r1-{n}": {"tcp": {str(port): f"127.0.0.1:{voice.server_address[1]}"}}
            for n, voice in enumerate(voices)
        }
        route = {"hosts": [], "http": False, "tcp": [{"port": port}]}
        router.wait_until_applied(publish(etcd, "voice", route=route, instances=instances))

        def instance_for(client_address: str) -> bytes:
            with socket.create_connection(
                ("127.0.0.1", port), timeout=5, source_address=(client_address, 0)
            ) as client:
                client.sendall(b"\n")
                return client.recv(100)

        clients = [f"127.0.1.{n}" for n in range(1, 30)]
        first = {client: instance_for(client) for client in clients}
        again = {client: instance_for(client) for client in clients}

    assert first == again
    assert len(set(first.values())) == 3


def test_broken_route_costs_only_its_own_service(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    etcd.client.set("/services/broken/route", "{not json")
    etcd.client.set("/services/evil/route", json.dumps({"hosts": ["x; } evil {"], "http": True}))
    etcd.client.set("/services/empty/releases/r1", "{}")
    etcd.client.set("/services/api/instances/r0-1", "[]")

    serve_api(etcd, router, *backends)

    assert router.get("api.test").status_code == 200
    broken, evil, instance = sorted(
        eventually(router.problems, what="problems are reported"), key=lambda one: "api" in one
    )
    assert broken.startswith("/services/broken/route: not JSON")
    assert evil == "/services/evil/route: 'x; } evil {' is not a host name"
    assert instance == "/services/api/instances/r0-1: not a JSON object"


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_host_stays_with_its_service_until_that_drops_it(
    etcd: EtcdServer, router: Router, backends: Backends, name: str
) -> None:
    one, two = backends
    serve_api(etcd, router, one)

    index = publish(
        etcd,
        name,
        route={"hosts": ["api.test", "other.test"], "http": True},
        instances={"r1-1": {"http": two.address}},
    )

    router.wait_until_applied(index)
    assert {router.get("api.test").json()["instance"] for _ in range(4)} == {"one"}
    assert router.get("other.test").json()["instance"] == "two"
    assert router.problems() == [f"/services/{name}/route: host api.test belongs to api"]

    etcd.client.delete("/services/api/route")
    router.wait_until_applied(etcd.client.set(f"/services/{name}/barrier", "1").node.created_index)
    assert {router.get("api.test").json()["instance"] for _ in range(4)} == {"two"}


def test_default_site_stays_with_its_service(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    for name, backend in zip(("old", "new"), backends, strict=True):
        index = publish(
            etcd,
            name,
            route={"hosts": [], "http": True},
            instances={"r1-1": {"http": backend.address}},
        )

    router.wait_until_applied(index)
    assert {router.get("any.test").json()["instance"] for _ in range(4)} == {"one"}


def test_port_that_another_program_uses_costs_only_its_own_service(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        publish(
            etcd,
            "voice",
            route={"hosts": [], "http": False, "tcp": [{"port": port}]},
            instances={"r1-1": {"tcp": {str(port): "127.0.0.1:1"}}},
        )

        serve_api(etcd, router, *backends)

        assert router.get("api.test").status_code == 200
        (problem,) = router.problems()
    assert f"tcp port {port} belongs to another program on this node" in problem
