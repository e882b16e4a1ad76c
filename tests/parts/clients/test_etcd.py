"""The client of etcd's v2 API, against the real etcd and against the simulated one, which must
not differ."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import httpx
import pytest

from clients.etcd import CompareFailed, Etcd, EtcdUnavailable, IndexCleared, KeyExists, KeyNotFound
from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_etcd import SimulatedEtcd

_directories = itertools.count(1)


@pytest.fixture(params=["real", "simulated"])
def etcd(request: pytest.FixtureRequest) -> Iterator[Etcd]:
    if request.param == "real":
        client = Etcd([request.getfixturevalue("real_etcd_url")])
    else:
        client = Etcd(transport=SimulatedEtcd(SimulatedClock()).transport)
    with client:
        yield client


@pytest.fixture
def base() -> str:
    """A directory of the test's own."""
    return f"/test-{next(_directories)}"


def test_value_is_read_back(etcd: Etcd, base: str) -> None:
    written = etcd.set(f"{base}/key", "värde & more=1")

    read = etcd.get(f"{base}/key")

    assert read.node.value == "värde & more=1"
    assert read.node.created_index == written.node.created_index == written.index


def test_find_returns_none_and_get_raises_for_a_missing_key(etcd: Etcd, base: str) -> None:
    assert etcd.find(f"{base}/key") is None
    with pytest.raises(KeyNotFound) as raised:
        etcd.get(f"{base}/key")
    assert raised.value.code == 100


def test_create_refuses_an_existing_key(etcd: Etcd, base: str) -> None:
    etcd.create(f"{base}/key", "1", ttl=60)

    with pytest.raises(KeyExists):
        etcd.create(f"{base}/key", "2")

    assert etcd.get(f"{base}/key").node.ttl == 60


def test_set_compares_value_and_index(etcd: Etcd, base: str) -> None:
    first = etcd.set(f"{base}/key", "1")
    etcd.set(f"{base}/key", "2", prev_value="1")

    with pytest.raises(CompareFailed):
        etcd.set(f"{base}/key", "3", prev_value="1")
    with pytest.raises(CompareFailed):
        etcd.set(f"{base}/key", "3", prev_index=first.node.modified_index)


def test_comparing_with_an_empty_value_is_refused(etcd: Etcd, base: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        etcd.set(f"{base}/key", "1", prev_value="")


def test_refresh_keeps_value_and_created_index(etcd: Etcd, base: str) -> None:
    written = etcd.set(f"{base}/key", "1", ttl=5)

    etcd.refresh(f"{base}/key", 60, prev_value="1")

    node = etcd.get(f"{base}/key").node
    assert (node.value, node.ttl) == ("1", 60)
    assert node.created_index == written.node.created_index
    assert node.modified_index > written.node.modified_index


def test_refresh_of_a_lost_key_fails(etcd: Etcd, base: str) -> None:
    with pytest.raises(KeyNotFound):
        etcd.refresh(f"{base}/key", 60)
    etcd.set(f"{base}/key", "other")
    with pytest.raises(CompareFailed):
        etcd.refresh(f"{base}/key", 60, prev_value="mine")


def test_directory_lists_its_children_sorted(etcd: Etcd, base: str) -> None:
    for name in ("b", "a", "c/d"):
        etcd.set(f"{base}/{name}", name)

    shallow = etcd.get(base).node
    deep = etcd.get(base, recursive=True).node

    assert [child.name for child in shallow.nodes] == ["a", "b", "c"]
    assert [leaf.value for leaf in deep.leaves()] == ["a", "b", "c/d"]


def test_directory_can_be_made_twice(etcd: Etcd, base: str) -> None:
    etcd.make_directory(base)
    etcd.make_directory(base)

    assert etcd.get(base).node.is_directory


def test_directory_can_be_made_for_a_while(etcd: Etcd, base: str) -> None:
    etcd.make_directory(base, ttl=600)
    etcd.set(f"{base}/key", "1")

    assert 590 <= (etcd.get(base).node.ttl or 0) <= 600
    assert etcd.get(f"{base}/key").node.ttl is None


def test_value_does_not_replace_a_directory(etcd: Etcd, base: str) -> None:
    etcd.make_directory(base)

    with pytest.raises(KeyExists):
        etcd.set(base, "1")


def test_delete_compares_and_deletes_whole_directories(etcd: Etcd, base: str) -> None:
    etcd.set(f"{base}/key", "1")

    with pytest.raises(CompareFailed):
        etcd.delete(f"{base}/key", prev_value="2")
    etcd.delete(base, recursive=True)

    with pytest.raises(KeyNotFound):
        etcd.delete(base, recursive=True)


def test_index_counts_every_change(etcd: Etcd, base: str) -> None:
    written = etcd.set(f"{base}/key", "1")
    deleted = etcd.delete(f"{base}/key")

    assert deleted.node.modified_index == deleted.index == written.index + 1


def test_watch_sees_what_happened_since_its_index(real_etcd_url: str, base: str) -> None:
    with Etcd([real_etcd_url]) as etcd:
        written = etcd.set(f"{base}/a", "1")
        etcd.delete(f"{base}/a")

        change = etcd.watch(base, wait_index=written.index + 1, recursive=True, timeout=60)

    assert change is not None
    assert (change.action, change.node.key) == ("delete", f"{base}/a")


def test_watch_without_a_change_ends(real_etcd_url: str, base: str) -> None:
    with Etcd([real_etcd_url]) as etcd:
        written = etcd.set(f"{base}/a", "1", ttl=60)
        etcd.refresh(f"{base}/a", 60)

        assert etcd.watch(base, wait_index=written.index + 1, recursive=True, timeout=0.2) is None


def test_watch_from_a_compacted_index_raises(real_etcd_url: str, base: str) -> None:
    with Etcd([real_etcd_url]) as etcd:
        written = etcd.set(f"{base}/a", "1")
        for _ in range(1001):
            etcd.set(f"{base}/b", "1")

        with pytest.raises(IndexCleared):
            etcd.watch(f"{base}/a", wait_index=written.index + 1, timeout=5)


def test_next_endpoint_takes_over(real_etcd_url: str, base: str) -> None:
    with Etcd(["http://127.83.61.101:2379", real_etcd_url]) as etcd:
        etcd.set(f"{base}/a", "1")

        assert etcd.get(f"{base}/a").node.value == "1"


def test_error_names_the_endpoints_that_do_not_answer() -> None:
    with (
        Etcd(["http://127.83.61.101:2379"]) as etcd,
        pytest.raises(EtcdUnavailable, match=r"61\.101"),
    ):
        etcd.get("/a")


def test_conditional_write_with_a_lost_answer_is_not_repeated() -> None:
    clock = SimulatedClock()
    server = SimulatedEtcd(clock)
    server.faults = ["after"]
    etcd = Etcd(transport=server.transport, patience=30, clock=clock)

    with pytest.raises(EtcdUnavailable):
        etcd.create("/a", "1")

    assert server.value("/a") == "1"


def test_patient_client_outlasts_an_election() -> None:
    clock = SimulatedClock()
    server = SimulatedEtcd(clock)
    election = {"errorCode": 301, "message": "Raft Internal Error", "cause": "no leader"}
    until = clock.now() + 10

    def answer(request: httpx.Request) -> httpx.Response:
        if clock.now() < until:
            return httpx.Response(500, json=election)
        return server.transport.handle_request(request)

    etcd = Etcd(transport=httpx.MockTransport(answer), patience=30, clock=clock)

    etcd.set("/a", "1")

    assert server.value("/a") == "1"
