"""Rollouts on a simulated cluster: what clients and operators see."""

from __future__ import annotations

import pytest

from clients.errors import ClusterError
from cluster.rollout.observed import Observer
from tests.unit.cluster.services import Wanted, World

V1 = Wanted(version="1.0")
V2 = Wanted(version="1.1")


def test_first_deployment_serves_all_instances(world: World) -> None:
    world.apply(V1.but(instances=3))

    record = world.record()
    assert record.current is not None
    assert world.served() == {f"{record.current}-{n}" for n in (1, 2, 3)}
    assert record.ledger[record.current].outcome == "serving"


def test_new_release_replaces_the_old_one_without_a_lost_request(world: World) -> None:
    world.apply(V1.but(instances=3))
    before = world.record().current
    since = len(world.cluster.serving)

    world.apply(V2.but(instances=3))

    after = world.record().current
    assert after != before
    assert world.served() == {f"{after}-{n}" for n in (1, 2, 3)}
    assert min(len(served) for served in world.cluster.serving[since:]) >= 3
    assert world.cluster.lost_requests == []


def test_single_instance_is_replaced_without_a_gap(world: World) -> None:
    world.apply(V1.but(instances=1))
    since = len(world.cluster.serving)

    world.apply(V2.but(instances=1))

    assert min(len(served) for served in world.cluster.serving[since:]) >= 1
    assert world.cluster.lost_requests == []


def test_no_change_touches_no_unit(world: World) -> None:
    world.apply(V1)
    world.cluster.writes.clear()
    before = world.etcd.index

    world.apply(V1)

    assert world.cluster.writes == []
    assert "/locks/api" not in world.etcd.entries
    assert world.lines[-1].endswith(
        "unchanged (release " + str(world.record().current) + ", 2 instances)"
    )
    assert world.etcd.index == before


def test_scaling_up_starts_only_the_difference(world: World) -> None:
    world.apply(V1.but(instances=1))
    release = world.record().current
    world.cluster.writes.clear()

    world.apply(V1.but(instances=3))

    started = {line for line in world.cluster.writes if line.startswith("launched")}
    assert started == {
        f"launched api-{release}{kind}@{n}.service" for kind in ("", "-announce") for n in (2, 3)
    }
    assert len(world.served()) == 3


def test_scaling_down_drains_the_highest_numbers(world: World) -> None:
    world.apply(V1.but(instances=3))
    release = world.record().current

    world.apply(V1.but(instances=1))

    assert world.served() == {f"{release}-1"}
    assert world.launched() == {f"api-{release}@1.service", f"api-{release}-announce@1.service"}
    assert world.cluster.lost_requests == []


def test_texts_of_destroyed_units_do_not_accumulate(world: World) -> None:
    for version in ("1.0", "1.1", "1.2", "1.3", "1.4"):
        world.apply(V1.but(version=version))

    assert len(world.cluster.texts) == 2 * 3, "of instances and sidekicks of three releases"
    world.remove()
    assert world.cluster.texts == []


def test_removal_withdraws_the_route_before_it_stops_anything(world: World) -> None:
    """A service that takes the hosts over gets their requests before the instances drain."""
    world.apply(V1)
    world.cluster.writes.clear()
    moments = []
    world.clock.listeners.append(
        lambda: moments.append((world.etcd.value("/services/api/route"), len(world.cluster.writes)))
    )

    world.remove()

    routes_while_stopping = {route for route, stopped in moments if stopped}
    assert routes_while_stopping == {None}


def test_missing_image_is_reported_before_anything_is_started(world: World) -> None:
    with pytest.raises(ClusterError, match=r"toktv/api:9 is not in the registry.*Push it"):
        world.apply(V1.but(version="9"))

    assert world.cluster.writes == []
    assert not world.record().exists


def test_failed_release_leaves_the_old_one_serving(world: World) -> None:
    world.apply(V1.but(instances=3))
    old = world.record().current
    since = len(world.cluster.serving)
    world.cluster.unhealthy.add(V2.release)

    with pytest.raises(ClusterError, match=f"GET /health answered 500.*\n.*boom.*{old} keeps"):
        world.apply(V2.but(instances=3))

    assert world.served() == {f"{old}-{n}" for n in (1, 2, 3)}
    assert min(len(served) for served in world.cluster.serving[since:]) >= 3
    assert {name for name in world.cluster.units if str(old) not in name} == set()
    assert world.record().current == old
    assert world.cluster.lost_requests == []


def test_release_that_fails_half_way_brings_all_old_instances_back(world: World) -> None:
    world.apply(V1.but(instances=3))
    since = len(world.cluster.serving)
    world.cluster.failing[f"{V2.release}@3.service"] = 99

    with pytest.raises(ClusterError, match="instance 3 did not become ready"):
        world.apply(V2.but(instances=3))

    assert world.served() == {f"{V1.release}-{n}" for n in (1, 2, 3)}
    assert min(len(served) for served in world.cluster.serving[since:]) >= 3
    assert not [name for name in world.cluster.units if V2.release in name]
    assert world.cluster.lost_requests == []


def test_failed_first_deployment_leaves_nothing_behind(world: World) -> None:
    world.cluster.unhealthy.add(V1.release)

    with pytest.raises(ClusterError, match="its units are removed; no release before it"):
        world.apply(V1)

    assert world.cluster.units == {}
    assert world.record().route is None


def test_unit_without_a_reported_state_does_not_count_as_dead(world: World) -> None:
    world.cluster.silence = 40.0  # longer than the time to start
    world.cluster.unhealthy.add(V1.release)
    since = len(world.lines)

    with pytest.raises(ClusterError, match="its units are removed"):
        world.apply(V1)  # the simulated machines notice a unit that is destroyed alive
    world.let_pass(60)

    assert world.cluster.jobs == {}
    assert not any("no sign of its end" in line for line in world.lines[since:])


def test_state_that_outlives_its_unit_is_no_instance(world: World) -> None:
    world.apply(V1)
    ghost = Wanted(version="9.9")
    world.cluster.stale_states.append(
        {
            "name": f"api-{ghost.release}@1.service",
            "machineID": next(iter(world.cluster.machines)),
            "systemdLoadState": "loaded",
            "systemdActiveState": "activating",
            "systemdSubState": "auto-restart",
        }
    )
    before = world.clock.now()

    world.apply(V2)

    assert world.served() == {f"{V2.release}-1", f"{V2.release}-2"}
    assert world.clock.now() - before < 60
    present = Observer(world.context(), "api").look().present()
    assert {instance.id.release for instance in present} == {V2.release}


def test_failed_deployment_can_be_repeated_once_the_cause_is_gone(world: World) -> None:
    world.cluster.unhealthy.add(V1.release)
    with pytest.raises(ClusterError):
        world.apply(V1)
    world.cluster.unhealthy.clear()

    world.apply(V1)

    assert len(world.served()) == 2


def test_more_instances_than_machines_names_the_constraint(world: World) -> None:
    world.apply(V1.but(instances=3))
    release = world.record().current

    with pytest.raises(ClusterError, match=r"instance 4 .*no machine can take.*Conflicts"):
        world.apply(V1.but(instances=4))

    assert world.served() == {f"{release}-{n}" for n in (1, 2, 3)}
    assert f"api-{release}@4.service" not in world.cluster.units


def test_unit_that_failed_in_systemd_is_started_again(world: World) -> None:
    world.cluster.failing["@2.service"] = 1

    world.apply(V1)

    assert len(world.served()) == 2
    assert any("failed in systemd: starting it again" in line for line in world.lines)


def test_route_changes_without_touching_instances(world: World) -> None:
    world.apply(V1)
    world.cluster.writes.clear()

    world.apply(V1.but(route={"hosts": ["new.tok.tv"], "http": True}))

    assert world.cluster.writes == []
    assert "new.tok.tv" in str(world.record().route)


def test_changed_route_waits_for_the_new_release(world: World) -> None:
    world.apply(V1)
    world.cluster.unhealthy.add(V2.release)

    with pytest.raises(ClusterError):
        world.apply(V2.but(route={"hosts": ["new.tok.tv"], "http": True}))

    assert "new.tok.tv" not in str(world.record().route)


def test_rolling_back_starts_the_old_units_again(world: World) -> None:
    world.apply(V1)
    old = world.record().current
    world.apply(V2)
    assert f"api-{old}@1.service" in world.cluster.units

    world.apply(V1)

    assert world.served() == {f"{old}-1", f"{old}-2"}
    assert world.cluster.lost_requests == []


def test_only_the_last_releases_are_kept(world: World) -> None:
    releases = []
    for version in ("1.0", "1.1", "1.2", "1.3"):
        world.apply(V1.but(version=version))
        releases.append(world.record().current)

    kept = {name for name in world.cluster.units if "@1" in name and "announce" not in name}
    assert kept == {f"api-{release}@1.service" for release in releases[1:]}


def test_router_that_applies_nothing_stops_the_rollout(world: World) -> None:
    world.apply(V1)
    old = world.record().current
    world.cluster.router_faults.stuck.add(next(iter(world.cluster.machines)))

    with pytest.raises(ClusterError, match="has not applied it"):
        world.apply(V2)

    assert world.launched() >= {f"api-{old}@1.service", f"api-{old}-announce@1.service"}


def test_remove_drains_and_leaves_nothing(world: World) -> None:
    world.apply(V1)
    world.apply(V2)

    world.remove()

    assert world.cluster.units == {}
    assert not [key for key in world.etcd.entries if key.startswith("/services/api")]
    assert world.cluster.lost_requests == []


def test_removing_an_unknown_service_succeeds(world: World) -> None:
    world.remove("unknown")

    assert world.lines[-1] == "unknown: does not exist"


def test_services_with_similar_names_do_not_touch_each_other(world: World) -> None:
    customer = V1.but(name="api-acme")
    world.apply(V1)
    world.apply(customer)

    world.remove("api")

    assert world.served() == {f"{customer.release}-{n}" for n in (1, 2)}
    assert all(name.startswith(f"api-acme-{customer.release}") for name in world.cluster.units)


def test_instance_stays_up_until_the_slowest_router_has_removed_it(world: World) -> None:
    world.apply(V1)
    world.cluster.router_lag = 6.0  # much longer than the drain

    world.apply(V2)

    assert world.cluster.lost_requests == []


def test_instance_on_a_dead_node_does_not_delay_the_rollout(world: World) -> None:
    world.apply(V1.but(instances=3))
    world.cluster.kill_machine(list(world.cluster.machines)[-1])  # fleet will not choose this one
    world.let_pass(20)
    began = world.clock.now()

    world.apply(V2.but(instances=1))

    assert world.served() == {f"{V2.release}-1"}
    assert world.clock.now() - began < 60  # fleet notices after 120 s


def test_rollout_waits_for_an_instance_that_fleet_scheduled_on_a_dead_node(world: World) -> None:
    world.cluster.kill_machine(next(iter(world.cluster.machines)))
    world.let_pass(20)

    world.apply(V1.but(instances=2))

    assert len(world.served()) == 2
