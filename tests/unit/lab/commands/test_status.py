"""What `make status` prints."""

from __future__ import annotations

from typing import Any

from lab.commands.status import picture

NODE = {"node": "core-0", "ip": "10.22.0.4", "power": "running", "model": "latest"}


def instance(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "n": n,
        "release": "0badcafe",
        "machine": "core-0",
        "state": "active (running)",
        "address": f"10.22.0.4:{32768 + n}",
        **changes,
    }


def service(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "customer": None,
        "reached": [],
        "sticky": False,
        "state": "serving",
        "ready": 1,
        "wanted": 1,
        "release": "0badcafe",
        "image": "docebo/lms:7.1.0",
        "trouble": [],
        "instances": [],
        **changes,
    }


def cluster(**parts: Any) -> dict[str, Any]:
    known = {
        "machines": [{"address": "10.22.0.4"}],
        "etcd": [{"address": "10.22.0.4", "healthy": True}],
        "routers": [{"node": "core-0", "error": None, "problems": []}],
        "services": [],
        "certificates": [],
        "units": [],
        "trouble": [],
    }
    return {**known, **parts}


def row(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line.split()


def test_a_customer_is_one_row() -> None:
    acme = service(
        "lms-acme", customer="acme", ready=1, wanted=2, state="degraded", sticky=True,
        reached=["https://a.example", "https://b.example", "https://c.example"],
    )  # fmt: skip

    shown = picture([NODE], cluster(services=[acme]))

    assert row(shown, "lms-acme") == [
        "lms-acme", "acme", "degraded", "1/2", "0badcafe", "docebo/lms:7.1.0",
        "https://a.example", "https://b.example", "+1", "(sticky)",
    ]  # fmt: skip


def test_a_healthy_cluster_shows_no_trouble_and_no_empty_tables() -> None:
    shown = picture([NODE], cluster(services=[service("api", instances=[instance(1)])]))

    assert "TROUBLE" not in shown
    assert "CERTIFICATE" not in shown
    assert row(shown, "core-0")[-3:] == ["healthy", "listed", "current"]
    assert row(shown, "api-0badcafe@1")[-1] == "10.22.0.4:32769"


def test_trouble_comes_last_and_names_its_subject() -> None:
    certificate = {
        "name": "docebo",
        "source": "certificate-docebo/1",
        "hosts": ["*.docebo.example"],
        "problems": {"core-0": "403 Forbidden"},
    }
    found = cluster(
        routers=[
            {
                "node": "core-0",
                "error": None,
                "problems": [{"key": "/certificates/docebo", "reason": "403 Forbidden"}],
            }
        ],
        services=[service("api", trouble=["api 0badcafe instance 1: on core-0: boom"])],
        certificates=[certificate],
        trouble=["no router is alive"],
    )

    shown = picture([NODE], found)

    assert row(shown, "core-0")[-1] == "trouble"
    assert row(shown, "docebo") == [
        "docebo", "*.docebo.example", "certificate-docebo/1", "not", "on", "core-0",
    ]  # fmt: skip
    assert shown.splitlines()[-4:] == [
        "TROUBLE",
        "  no router is alive",
        "  certificate docebo on core-0: 403 Forbidden",
        "  api: api 0badcafe instance 1: on core-0: boom",
    ]


def test_hundreds_of_instances_are_only_counted() -> None:
    many = [service(f"lms-{n}", instances=[instance(1), instance(2)]) for n in range(100)]

    shown = picture([NODE], cluster(services=many))

    assert "200 instances" in shown
    assert "@1" not in shown
    assert len(shown.splitlines()) < 120


def test_nodes_are_shown_even_if_the_cluster_does_not_answer() -> None:
    shown = picture([NODE], {}, ["the cluster does not answer: no route"])

    assert row(shown, "core-0") == [
        "core-0", "10.22.0.4", "running", "latest", "no", "no", "no",
    ]  # fmt: skip
    assert shown.endswith("TROUBLE\n  the cluster does not answer: no route")
