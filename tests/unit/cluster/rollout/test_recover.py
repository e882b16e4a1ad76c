"""Interrupted changes are undone once no program works on them."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from clients.errors import ClusterError, Interrupted
from clients.service_store import ServiceKeys
from tests.unit.cluster.services import Killed, Wanted, World

OLD, NEW = Wanted(version="1.0"), Wanted(version="1.1")
TWO_MINUTES = 120.0


@pytest.fixture
def world() -> World:
    """One finished release with two instances."""
    world = World()
    world.apply(OLD)
    return world


def interrupt(world: World, wanted: Wanted | None, *, until: str) -> None:
    """Begin a rollout or removal, and interrupt it as soon as it has printed `until`."""
    for requests in range(1, 2000):
        world.interrupt_after(requests, answered=True)
        said = len(world.lines)
        with pytest.raises(Interrupted):
            world.apply(wanted) if wanted else world.remove()
        if any(until in line for line in world.lines[said:]):
            return
    raise AssertionError(f"it never said {until!r}")


def test_interrupted_update_is_undone_while_the_old_release_serves_all_the_time(
    world: World,
) -> None:
    interrupt(world, NEW, until="instance 1: starting")
    world.let_pass(30)  # new instances become ready and serve beside the old ones
    since = len(world.cluster.serving)

    world.settle()

    assert world.served() == {f"{OLD.release}-1", f"{OLD.release}-2"}
    old = {f"{OLD.release}-1", f"{OLD.release}-2"}
    assert all(old <= served for served in world.cluster.serving[since:])
    assert not any(NEW.release in name for name in world.cluster.units)
    assert world.record().ledger[NEW.release].outcome == "failed: interrupted"


def test_interrupted_growth_goes_back_to_the_old_number(world: World) -> None:
    interrupt(world, OLD.but(instances=3), until="instance 3: starting")

    world.settle()

    assert world.served() == {f"{OLD.release}-1", f"{OLD.release}-2"}


def test_rolling_out_the_serving_release_again_ends_an_interrupted_change(world: World) -> None:
    interrupt(world, NEW, until=f"release {NEW.release} of")  # before the first start

    world.apply(OLD)

    assert "/rollouts/api" not in world.etcd.entries
    assert world.served() == {f"{OLD.release}-1", f"{OLD.release}-2"}


def test_interrupted_first_rollout_leaves_nothing() -> None:
    world = World()
    interrupt(world, OLD, until="instance 1: starting")

    world.settle()

    assert world.cluster.units == {}
    assert not world.record().exists


def test_service_whose_removal_was_interrupted_serves_again(world: World) -> None:
    interrupt(world, None, until="draining")

    world.settle()

    assert world.served() == {f"{OLD.release}-1", f"{OLD.release}-2"}


def test_ledger_is_right_after_an_interruption_at_the_very_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_keys: ServiceKeys, _release: str) -> None:
        raise Interrupted("SIGTERM")

    monkeypatch.setattr(ServiceKeys, "write_current", interrupted)
    with pytest.raises(Interrupted):
        world.apply(NEW)

    world.settle()

    outcomes = {name: entry.outcome for name, entry in world.record().ledger.items()}
    assert outcomes == {OLD.release: "serving", NEW.release: "failed: interrupted"}
    assert world.served() == {f"{OLD.release}-1", f"{OLD.release}-2"}


def test_missing_units_are_created_again(world: World) -> None:
    interrupt(world, NEW, until="instance 1: starting")
    gone = [f"api-{OLD.release}-announce@2.service", f"api-{OLD.release}@2.service"]
    for name in gone:
        world.cluster.units[name].desired = "inactive"
    world.let_pass(20)
    for name in gone:
        del world.cluster.units[name]

    world.settle()

    world.assert_is_what_pulumi_believes()


@pytest.mark.parametrize("verb", ["apply", "remove"])
@pytest.mark.parametrize("answered", [True, False])
def test_change_can_be_undone_until_its_last_request(verb: str, answered: bool) -> None:
    """Pulumi's state still has the old inputs and would not send them again."""
    old, new = OLD.but(instances=1), NEW.but(instances=1)

    def changed(world: World, *, interrupted_after: int | None = None) -> int:
        world.apply(old)
        before = world.requests
        if interrupted_after is not None:
            world.interrupt_after(interrupted_after, answered=answered)
        world.apply(new) if verb == "apply" else world.remove()
        return world.requests - before

    total = changed(World(machines=1))
    for requests in range(total - 12, total):
        world = World(machines=1)

        with suppress(Interrupted):
            changed(world, interrupted_after=requests)
            assert requests > total - 4, "it came with the end"
        world.settle_within(TWO_MINUTES)

        world.assert_is_what_pulumi_believes()


def interrupt_while_it_drains(world: World) -> None:
    """A removal is killed while sidekicks stop and applications still run."""

    def interrupts() -> None:
        if any(job.drains_since is not None for job in world.cluster.jobs.values()):
            world.clock.listeners.remove(interrupts)
            world.interrupt_after(0, answered=True)

    world.clock.listeners.append(interrupts)
    with pytest.raises(Interrupted):
        world.remove()


@pytest.mark.parametrize("instances", [1, 2])
def test_instances_that_drained_serve_again_within_seconds(
    instances: int,
) -> None:
    world = World()
    world.apply(OLD.but(instances=instances))
    interrupt_while_it_drains(world)
    began = world.clock.now()
    apps = [job for job in world.cluster.jobs.values() if job.port]

    world.settle()

    assert len(world.served()) == instances
    assert world.clock.now() - began < 15
    assert [job for job in world.cluster.jobs.values() if job.port] == apps, "none was restarted"


def test_removal_whose_program_was_killed_is_undone_within_two_minutes(world: World) -> None:
    world.kill_after(30, answered=True)
    with pytest.raises(Killed):
        world.remove()
    world.no_interrupt()

    world.settle_within(TWO_MINUTES)

    world.assert_is_what_pulumi_believes()


def test_rollout_that_was_settled_meanwhile_does_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost its lock without noticing, and reaches its last request."""

    def stalls(keys: ServiceKeys, release: str) -> None:
        monkeypatch.undo()
        keys.write_current(release)
        world.etcd.delete("/locks/api")
        world.settle()

    monkeypatch.setattr(ServiceKeys, "write_current", stalls)
    with pytest.raises(ClusterError, match="undone it meanwhile"):
        world.apply(NEW)

    world.assert_is_what_pulumi_believes()


@pytest.mark.parametrize("mark", ["nonsense", "[]", '{"verb": "apply", "since": "2026"}'])
def test_incomplete_mark_is_settled_by_the_ledger(world: World, mark: str) -> None:
    other = Wanted(version="1.2", name="web")
    interrupt(world, other, until="instance 1: starting")
    interrupt(world, NEW, until="instance 1: starting")
    world.etcd.put("/rollouts/api", mark)

    world.settle_within(TWO_MINUTES)

    world.assert_is_what_pulumi_believes()
    world.assert_is_what_pulumi_believes("web")


def test_settle_leaves_a_running_rollout_alone(world: World) -> None:
    interrupt(world, NEW, until="instance 1: starting")
    world.etcd.put("/locks/api", json.dumps({"holder": "core-0", "since": "now"}))
    before = dict(world.cluster.units)

    world.settle()

    assert world.cluster.units == before


def test_settle_leaves_a_finished_change_alone(world: World) -> None:
    world.cluster.unhealthy.add(NEW.release)
    with pytest.raises(ClusterError):
        world.apply(NEW)
    before = len(world.lines)

    world.settle()

    assert world.lines[before:] == []


def test_next_rollout_after_an_interruption_needs_no_settling(world: World) -> None:
    interrupt(world, NEW, until="instance 1: starting")

    world.apply(NEW)
    before = len(world.lines)
    world.settle()

    assert world.served() == {f"{NEW.release}-1", f"{NEW.release}-2"}
    assert world.lines[before:] == []


def test_service_that_cannot_be_settled_delays_no_other(world: World) -> None:
    other = Wanted(version="1.2", name="web")
    interrupt(world, NEW, until="instance 1: starting")
    interrupt(world, other, until="instance 1: starting")
    world.etcd.put("/services/api/releases/broken", "nonsense")

    with pytest.raises(ClusterError, match=r"^api: .*nonsense"):
        world.settle()

    assert not any(name.startswith("web-") for name in world.cluster.units)
