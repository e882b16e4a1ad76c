"""A service that asks for it gets each client's requests at the instance that it had before."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.parts.router.backends import Backend, serving
from tests.parts.router.certificates import write_certificate
from tests.parts.router.harness import EtcdServer, Router, publish, running
from tests.parts.router.tls_client import connect

Backends = tuple[Backend, Backend]


def serve(etcd: EtcdServer, router: Router, *backends: Backend, sticky: bool = True) -> None:
    """shop.test with these instances, r1-1 and so on, applied by the router."""
    index = publish(
        etcd,
        "shop",
        route={"hosts": ["shop.test"], "http": True, "sticky": sticky},
        instances={f"r1-{n}": {"http": one.address} for n, one in enumerate(backends, 1)},
    )
    router.wait_until_applied(index)


def cookie_of(answer: httpx.Response) -> str | None:
    """The instance that the router's cookie names."""
    found = re.match("fleet_instance=([^;]*)", answer.headers.get("Set-Cookie", ""))
    return found[1] if found else None


def ask(router: Router, cookie: str, path: str = "/", method: str = "GET") -> httpx.Response:
    headers = {"Cookie": f"theme=dark; fleet_instance={cookie}"}
    return router.get("shop.test", path, headers=headers, method=method)


def test_first_answer_names_its_instance_and_hides_its_address(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0])

    answer = router.get("shop.test")

    assert answer.headers["Set-Cookie"] == ("fleet_instance=r1-1; Path=/; HttpOnly; SameSite=Lax")
    assert answer.headers["X-Request-Id"]


def test_cookie_is_secure_over_https(etcd: EtcdServer, folder: Path, backends: Backends) -> None:
    write_certificate(folder, "shop.test")
    with running(Router(etcd=etcd, folder=folder)) as router:
        serve(etcd, router, backends[0])

        with connect(router, "shop.test") as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
            head = client.recv(4096).decode()

    assert "fleet_instance=r1-1; Path=/; HttpOnly; SameSite=None; Secure\r\n" in head


def test_clients_without_a_cookie_are_spread(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, *backends)

    answers = [router.get("shop.test") for _ in range(20)]

    assert {cookie_of(answer) for answer in answers} == {"r1-1", "r1-2"}
    for answer in answers:
        named = {"r1-1": "one", "r1-2": "two"}[str(cookie_of(answer))]
        assert answer.json()["instance"] == named


def test_client_stays_with_its_instance(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, *backends)

    answers = [ask(router, "r1-2") for _ in range(20)]

    assert Counter(answer.json()["instance"] for answer in answers) == {"two": 20}
    assert {cookie_of(answer) for answer in answers} == {None}


def test_client_stays_when_another_instance_comes_or_goes(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, *backends)
    third = Backend("three")
    with serving(third):
        index = publish(etcd, "shop", instances={"r2-1": {"http": third.address}})
        router.wait_until_applied(index)
        assert {ask(router, "r1-2").json()["instance"] for _ in range(10)} == {"two"}

        for gone in ("r1-1", "r2-1"):
            key = f"/services/shop/instances/{gone}"
            router.wait_until_applied(etcd.client.delete(key).node.modified_index)
            assert {ask(router, "r1-2").json()["instance"] for _ in range(10)} == {"two"}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_client_of_a_dead_instance_is_given_another_and_stays_there(
    etcd: EtcdServer, router: Router, backends: Backends, method: str
) -> None:
    serve(etcd, router, *backends)
    backends[1].kill()

    answer = ask(router, "r1-2", method=method)

    assert answer.status_code == 200
    assert answer.json()["instance"] == "one"
    assert cookie_of(answer) == "r1-1"


def test_client_of_an_instance_that_is_gone_is_given_another(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0])

    answer = ask(router, "r0-7")

    assert answer.json()["instance"] == "one"
    assert cookie_of(answer) == "r1-1"


@pytest.mark.parametrize("junk", ["", "10.0.0.4:80", "shop", "../x", "r1-1 r1-1", "%24service"])
def test_cookie_that_names_nothing_is_ignored(
    etcd: EtcdServer, router: Router, backends: Backends, junk: str
) -> None:
    serve(etcd, router, backends[0])

    answer = ask(router, junk)

    assert answer.status_code == 200
    assert cookie_of(answer) == "r1-1"


def test_cookie_of_one_service_means_nothing_to_another(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, backends[0])
    index = publish(
        etcd,
        "bank",
        route={"hosts": ["bank.test"], "http": True, "sticky": True},
        instances={"r1-2": {"http": backends[1].address}},
    )
    router.wait_until_applied(index)

    assert ask(router, "r1-2").json()["instance"] == "one"


def test_answer_of_a_clients_own_instance_is_not_asked_of_another(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, *backends)
    backends[1].fail_here = 503

    assert ask(router, "r1-2", "/fail-here").status_code == 503
    assert ask(router, "r1-2").json()["instance"] == "two"


def test_service_that_does_not_ask_for_it_sets_no_cookie(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    serve(etcd, router, *backends, sticky=False)

    answers = [ask(router, "r1-2") for _ in range(20)]

    assert {answer.json()["instance"] for answer in answers} == {"one", "two"}
    assert not any("Set-Cookie" in answer.headers for answer in answers)


def test_sticky_service_without_instances_answers_503(etcd: EtcdServer, router: Router) -> None:
    serve(etcd, router)

    answer = ask(router, "r1-1")

    assert answer.status_code == 503
    assert "Set-Cookie" not in answer.headers
