"""What clients get from a router: real etcd, confd and nginx."""

from __future__ import annotations

from collections import Counter

from tests.unit.router.backends import Backend
from tests.unit.router.harness import EtcdServer, Router, publish

Backends = tuple[Backend, Backend]


def test_requests_of_a_host_are_spread_over_the_instances(
    etcd: EtcdServer, router: Router, backends: Backends
) -> None:
    index = publish(
        etcd,
        "api",
        route={"hosts": ["api.test"], "http": True},
        instances={f"r1-{n}": {"http": b.address} for n, b in enumerate(backends, 1)},
    )

    router.wait_until_applied(index)

    answers = Counter(router.get("api.test").json()["instance"] for _ in range(20))
    assert set(answers) == {"one", "two"}
