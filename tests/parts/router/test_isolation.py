"""A customer's host never reaches another customer's instance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend, serving
from tests.parts.router.certificates import write_certificate
from tests.parts.router.harness import EtcdServer, Router, publish, running
from tests.parts.router.tls_client import connect

CUSTOMERS = ["acme", "acme-2", "globex", "initech", "umbrella"]


def host_of(customer: str) -> str:
    return f"{customer}.lms.test"


def test_every_host_reaches_its_own_customer_only(etcd: EtcdServer, folder: Path) -> None:
    write_certificate(folder, "stack")
    backends = {f"lms-{customer}": Backend(f"lms-{customer}") for customer in CUSTOMERS}
    with serving(*backends.values()), running(Router(etcd=etcd, folder=folder)) as router:
        index = 0
        for n, (service, backend) in enumerate(backends.items()):
            index = publish(
                etcd,
                service,
                # half of them sticky: their upstreams are chosen in another way
                route={
                    "hosts": [host_of(service.removeprefix("lms-"))],
                    "http": True,
                    "sticky": n % 2 == 0,
                },
                instances={"0badcafe-1": {"http": backend.address}},
            )
        router.wait_until_applied(index)

        for customer in CUSTOMERS:
            host = host_of(customer)
            for spelling in (host, host.upper(), f"{host}.", f"{host}:8080"):
                cookie = {"Cookie": "fleet_instance=0badcafe-1"}
                answer = router.get(spelling, headers=cookie)
                assert answer.json()["instance"] == f"lms-{customer}", spelling
            for other in CUSTOMERS:  # a connection that was opened for another customer's name
                with connect(router, host_of(other)) as client:
                    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                    client.sendall(request.encode())
                    head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 ")
                assert json.loads(body)["instance"] == f"lms-{customer}"
        for stranger in ("lms.test", "x.acme.lms.test", "acme.lms.test.evil.test", "lms-acme"):
            assert router.get(stranger).status_code == 404


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_address_that_a_node_gave_to_another_instance_belongs_to_that_one(
    etcd: EtcdServer, router: Router, protocol: str
) -> None:
    """Announcements outlive a dead node for a while; the node's ports may be another's by then."""
    backend = Backend("globex")

    def instance(address: str) -> dict[str, object]:
        return {"http": address} if protocol == "http" else {"tcp": {"1": address}, "http": None}

    with serving(backend):
        publish(
            etcd,
            "lms-acme",
            route={"hosts": ["acme.test"], "http": True},
            instances={"r1-1": {"http": backend.address}},
        )
        route = {"hosts": ["globex.test"], "http": True}
        index = publish(
            etcd, "lms-globex", route=route, instances={"r1-1": instance(backend.address)}
        )
        router.wait_until_applied(index)

        assert router.get("acme.test").status_code == 503
        if protocol == "http":
            assert router.get("globex.test").json()["instance"] == "globex"
        (problem,) = eventually(router.problems, what="it is reported")
        assert "belongs to /services/lms-globex/instances/r1-1 by now" in problem
