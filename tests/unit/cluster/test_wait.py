"""Waiting for the cluster."""

from __future__ import annotations

import pytest

from clients.errors import ClusterError
from clients.etcd.members import Membership
from cluster.wait import wait
from contract.requests import WaitForCluster
from tests.unit.cluster.services import World
from tests.unit.cluster.some_members import SomeMembers


def wait_for_three(world: World, membership: Membership, formed: list[str]) -> None:
    wait(
        WaitForCluster(size=3, timeout=60),
        world.context(),
        membership,
        address="10.0.0.4",
        mark_formed=lambda: formed.append("formed"),
    )


def test_complete_cluster_is_recorded_as_formed(world: World) -> None:
    formed: list[str] = []

    wait_for_three(world, SomeMembers(3), formed)

    assert formed == ["formed"]
    assert world.etcd.entries["/services"].value is None
    assert world.lines[-1] == "the cluster is complete: 3 etcd members, 3 machines in fleet"


def test_wait_lasts_until_the_last_member_has_joined(world: World) -> None:
    members = SomeMembers(0)
    beginning = world.clock.now()

    def grow() -> None:
        members.count = min(3, int(world.clock.now() - beginning) // 5)

    world.clock.listeners.append(grow)

    wait_for_three(world, members, [])

    assert "waiting for etcd on 10.0.0.4 to see a quorum (0 s)" in world.lines
    assert any("2 of 3 members are healthy" in line for line in world.lines)


def test_incomplete_cluster_is_reported_with_what_is_missing(world: World) -> None:
    world.cluster.lose_machine(next(iter(world.cluster.machines)))
    formed: list[str] = []

    with pytest.raises(ClusterError, match=r"fleet: 2 of 3 machines \(10.0.0.5, 10.0.0.6\)"):
        wait_for_three(world, SomeMembers(3), formed)

    assert formed == []
