"""The bootstrap with real etcd members: forming, healing, and what it must refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients.clock import SystemClock
from clients.etcd import Etcd
from clients.etcd.members import Membership, client_url
from cluster.bootstrap import decide
from cluster.bootstrap.record import from_json, mark_formed
from tests.eventually import eventually
from tests.parts.real_etcd import Node
from tests.unit.cluster.simulated_blob import SimulatedBlob

MakeNode = Callable[..., Node]


@pytest.fixture
def blob() -> SimulatedBlob:
    return SimulatedBlob()


@pytest.fixture
def make_node(tmp_path: Path, blob: SimulatedBlob) -> Iterator[MakeNode]:
    nodes = []

    def make(number: int, *, size: int = 3) -> Node:
        node = Node(number, tmp_path, blob, size=size)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.stop()


@pytest.fixture
def three(make_node: MakeNode, blob: SimulatedBlob) -> list[Node]:
    """A formed cluster of three with a key in it."""
    nodes = [make_node(number) for number in range(3)]
    for node in nodes:
        node.boot()
    eventually(lambda: all(node.is_healthy for node in nodes), "three healthy members")
    mark_formed(blob.client(), SystemClock())
    _etcd(nodes[0]).set("/precious", "yes")
    return nodes


def _etcd(node: Node) -> Etcd:
    return Etcd([client_url(node.me.address)])


def _member_names(node: Node) -> list[str]:
    members = Membership().survey([node.me.address])
    assert members is not None
    return sorted(member.name for member in members.members)


def test_three_nodes_form_one_cluster(three: list[Node], blob: SimulatedBlob) -> None:
    assert _member_names(three[0]) == ["core-0", "core-1", "core-2"]
    assert [node.start_as.state for node in three if node.start_as] == ["new"] * 3
    record = from_json(blob.text or "")
    assert record is not None
    assert record.formed


def test_node_with_data_starts_without_asking_any_other(
    three: list[Node], blob: SimulatedBlob
) -> None:
    three[1].stop()
    blob.requests.clear()

    three[1].boot()

    eventually(lambda: three[1].is_healthy, "core-1 healthy again")
    assert blob.requests == []


def test_reimaged_node_replaces_itself(three: list[Node]) -> None:
    three[2].lose_data()

    three[2].boot()

    eventually(lambda: three[2].is_healthy, "core-2 healthy again")
    assert three[2].start_as is not None
    assert three[2].start_as.state == "existing"
    assert _member_names(three[0]) == ["core-0", "core-1", "core-2"]
    assert _etcd(three[2]).get("/precious").node.value == "yes"


def test_new_node_replaces_the_dead_one(
    three: list[Node], make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "DEAD_AFTER", 3.0)
    three[0].lose_data()
    newcomer = make_node(7)

    newcomer.boot()

    eventually(lambda: newcomer.is_healthy, "core-7 healthy")
    assert _member_names(newcomer) == ["core-1", "core-2", "core-7"]
    assert _etcd(newcomer).get("/precious").node.value == "yes"


def test_node_with_a_heartbeat_in_fleet_is_not_replaced(
    three: list[Node], make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "DEAD_AFTER", 0.0)
    machine = json.dumps({"ID": "a", "PublicIP": three[0].me.address})
    _etcd(three[1]).set("/_coreos.com/fleet/machines/a/object", machine)
    three[0].stop()
    newcomer = make_node(7)

    newcomer.boot()

    eventually(lambda: any("comes back" in line for line in newcomer.lines), "core-7 waits")
    assert _member_names(three[1]) == ["core-0", "core-1", "core-2"]


def test_two_new_nodes_join_one_after_the_other(
    three: list[Node], make_node: MakeNode, blob: SimulatedBlob
) -> None:
    newcomers = [make_node(3, size=5), make_node(4, size=5)]

    for node in newcomers:
        node.boot()

    eventually(lambda: all(node.is_healthy for node in newcomers), "five members")
    assert len(_member_names(three[0])) == 5
    record = from_json(blob.text or "")
    assert record is not None
    assert len(record.members) == 5


def test_lost_majority_is_left_to_the_operator(three: list[Node]) -> None:
    three[0].lose_data()
    three[1].lose_data()

    three[0].boot()

    eventually(
        lambda: any("no quorum of its members" in line for line in three[0].lines), "refusal"
    )
    assert three[0].start_as is None


def test_cluster_that_never_formed_can_start_again(make_node: MakeNode) -> None:
    nodes = [make_node(number) for number in range(3)]
    for node in nodes:
        node.boot()
    eventually(lambda: all(node.is_healthy for node in nodes), "three healthy members")
    for node in nodes:
        node.lose_data()

    for node in nodes:
        node.boot()

    eventually(lambda: all(node.is_healthy for node in nodes), "three healthy members again")


def test_cluster_of_one(make_node: MakeNode) -> None:
    node = make_node(0, size=1)

    node.boot()

    eventually(lambda: node.is_healthy, "the only member")


def test_interrupted_growth_from_one_member_continues(
    make_node: MakeNode, blob: SimulatedBlob
) -> None:
    """The second member was added, and its machine died before etcd started there: the first one
    has no quorum without it."""
    first, second, third = (make_node(0, size=1), make_node(1), make_node(2))
    first.boot()
    eventually(lambda: first.is_healthy, "the only member")
    mark_formed(blob.client(), SystemClock())
    _etcd(first).set("/precious", "yes")
    Membership().add(first.me.address, second.me.address)
    eventually(lambda: not first.is_healthy, "a member without a quorum")

    for node in (second, third):
        node.boot()

    eventually(lambda: third.is_healthy, "three members")
    assert _member_names(third) == ["core-0", "core-1", "core-2"]
    assert _etcd(third).get("/precious").node.value == "yes"


def test_bootstrap_waits_for_role_assignments_to_propagate(
    make_node: MakeNode, blob: SimulatedBlob
) -> None:
    blob.denials = 2
    node = make_node(0, size=1)

    node.boot()

    eventually(lambda: node.is_healthy, "the only member")
    assert any("403 AuthorizationPermissionMismatch" in line for line in node.lines)
