"""A failed change leaves release, number and route as they were."""

from __future__ import annotations

import itertools
import json

import pytest

from clients.errors import ClusterError, Interrupted
from cluster.rollout import readiness, rollout
from cluster.rollout.prune import prune
from tests.unit.cluster.services import Wanted, World

V1, V2 = Wanted(version="1.0"), Wanted(version="1.1")
NEW_ROUTE = {"hosts": ["new.tok.tv"], "http": True}
TWO_MINUTES = 120.0


def test_new_hosts_that_a_router_does_not_apply_are_undone(world: World) -> None:
    world.apply(V1)
    stuck = next(iter(world.cluster.machines))
    world.cluster.router_faults.stuck.add(stuck)

    with pytest.raises(ClusterError, match="has not applied it"):
        world.apply(V1.but(route=NEW_ROUTE))
    world.settle_within(TWO_MINUTES)  # the router still hangs

    world.assert_is_what_pulumi_believes()


def test_new_hosts_are_undone_with_instances_that_fit_on_no_node() -> None:
    """New hosts and a third instance in one command, on two nodes: the old hosts keep answering."""
    world = World(machines=2)
    world.apply(V1)

    with pytest.raises(ClusterError, match=r"no machine can take.*with the route from before"):
        world.apply(V1.but(instances=3, route=NEW_ROUTE))

    assert world.marks() == []
    world.assert_is_what_pulumi_believes()
    assert not [name for name in world.cluster.units if "@3" in name]


def test_new_hosts_are_undone_even_if_an_instance_is_missing() -> None:
    world = World(machines=3)
    world.apply(V1.but(instances=3))
    world.cluster.kill_machine(list(world.cluster.machines)[-1])
    world.let_pass(20)

    with pytest.raises(ClusterError):
        world.apply(V1.but(instances=4, route=NEW_ROUTE))

    assert "new.tok.tv" not in str(world.record().route)
    assert not any("@4" in name for name in world.launched())
    world.cluster.add_machine("e" * 32, "10.0.0.9")
    world.settle_within(TWO_MINUTES)
    world.assert_is_what_pulumi_believes()


def test_surplus_instances_serve_again_once_the_router_does(world: World) -> None:
    world.apply(V1.but(instances=3))
    stuck = next(iter(world.cluster.machines))
    world.cluster.router_faults.stuck.add(stuck)
    with pytest.raises(ClusterError, match="has not applied it"):
        world.apply(V1.but(instances=1))

    world.cluster.router_faults.stuck.clear()
    world.settle_within(TWO_MINUTES)

    assert len(world.served()) == 3
    world.assert_is_what_pulumi_believes()


def test_failed_first_release_removes_an_interrupted_one_too(world: World) -> None:
    """Pulumi knows of neither: an instance left over would serve forever."""
    world.cluster.pulls[f"{V1.release}@2."] = 300.0
    for requests in itertools.count(20, 20):
        world.interrupt_after(requests, answered=True)
        with pytest.raises(Interrupted):
            world.apply(V1)
        if world.served():
            break
    world.cluster.pulls.clear()
    world.cluster.unhealthy.add(V2.release)

    with pytest.raises(ClusterError, match="its units are removed; no release before it"):
        world.apply(V2)

    assert world.marks() == []
    assert world.cluster.units == {}
    world.assert_is_what_pulumi_believes()


def test_reason_of_a_failed_first_release_is_kept_for_a_day(world: World) -> None:
    world.cluster.unhealthy.add(V1.release)
    with pytest.raises(ClusterError):
        world.apply(V1)

    assert world.record().ledger[V1.release].outcome.startswith("failed: ")
    world.clock.listeners.remove(world.cluster.tick)
    world.clock.TICK = 600
    world.let_pass(24 * 3600 + 600)

    assert "/services/api" not in world.etcd.entries


def test_service_that_came_up_late_is_not_removed(world: World) -> None:
    world.cluster.unhealthy.add(V1.release)
    with pytest.raises(ClusterError):
        world.apply(V1)
    world.cluster.unhealthy.clear()

    world.apply(V1)

    assert world.etcd.entries["/services/api"].expires is None


@pytest.mark.parametrize("error", [None, Interrupted("SIGTERM")])
def test_clean_up_after_a_rollout_never_makes_it_fail_and_count(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException | None
) -> None:
    for version in ("1.0", "1.1", "1.2", "1.3"):
        world.apply(V1.but(version=version))

    def troubled(*args: object, **options: object) -> None:
        world.cluster.faults = ["unavailable"] * 60
        if error is not None:
            raise error
        prune(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(rollout, "prune", troubled)
    try:
        world.apply(V1.but(version="1.4"))
    except Interrupted:
        world.cluster.faults.clear()
        world.settle_within(TWO_MINUTES)

    assert (error is None) == any("older releases stay" in line for line in world.lines)
    world.assert_is_what_pulumi_believes()


def test_old_instance_serves_again_when_the_new_one_dies_while_it_drains(world: World) -> None:
    """The rollout looks once more before it stops the old instance."""
    world.apply(V1.but(instances=1))
    since = len(world.cluster.serving)

    def dies() -> None:
        draining = world.record().current == V1.release and any(
            job.unit.name.startswith(f"api-{V1.release}-announce") and job.active == "deactivating"
            for job in world.cluster.jobs.values()
        )
        if draining:
            world.cluster.unhealthy.add(V2.release)

    world.clock.listeners.append(dies)

    with pytest.raises(ClusterError, match="GET /health answered 500"):
        world.apply(V2.but(instances=1))

    world.assert_is_what_pulumi_believes()
    assert any("needed again" in line for line in world.lines)
    empty = [tick for tick in world.cluster.serving[since:] if not tick]
    assert len(empty) * world.clock.TICK < 10, "as long as the old one's drain and restart"


def test_instance_that_a_router_leaves_out_is_not_ready(world: World) -> None:
    key = f"/services/api/instances/{V1.release}-1"
    machine = next(iter(world.cluster.machines))
    world.cluster.router_faults.left_out[machine] = [(key, "10.0.0.4:32768 belongs to another")]

    with pytest.raises(ClusterError, match=f"{machine[:4]} leaves it out: 10.0.0.4:32768 belongs"):
        world.apply(V1)

    world.assert_is_what_pulumi_believes()


def test_instance_that_a_router_keeps_after_an_outage_is_not_stopped(world: World) -> None:
    world.apply(V1.but(instances=1))
    key = f"/services/api/instances/{V1.release}-1"
    machine = next(iter(world.cluster.machines))
    until = world.clock.now() + 25

    def keeps() -> None:
        report = json.loads(world.etcd.value(f"/routers/{machine}") or "{}")
        if world.clock.now() < until:
            world.etcd.put(f"/routers/{machine}", json.dumps(report | {"kept": [key]}), ttl=15)
            assert f"api-{V1.release}@1.service" in world.launched()

    world.clock.listeners.append(keeps)

    world.apply(V2.but(instances=1))

    assert world.clock.now() > until
    world.assert_is_what_pulumi_believes()


def test_port_that_a_router_leaves_out_is_reported(world: World) -> None:
    """Another service may be about to release it, so the rollout does not fail."""
    machine = next(iter(world.cluster.machines))
    reason = "tcp port 7000 belongs to another program on this node"
    world.cluster.router_faults.left_out[machine] = [("/services/api/route", reason)]

    world.apply(V1)

    line = f"api: left out by the router on {machine[:4]}: route: tcp port 7000 belongs to another"
    assert any(said.startswith(line) for said in world.lines)


def test_pulling_an_image_does_not_count_as_time_to_become_healthy(world: World) -> None:
    world.cluster.pulls[f"{V1.release}@"] = 90.0  # three times the time to start

    world.apply(V1)

    assert len(world.served()) == 2


def test_image_that_never_arrives_fails_the_rollout_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PREPARATION_LIMIT", 60.0)
    world.cluster.pulls[f"{V1.release}@"] = 3000.0
    began = world.clock.now()

    with pytest.raises(ClusterError, match="its image is being pulled"):
        world.apply(V1)

    assert 60 < world.clock.now() - began < 100
