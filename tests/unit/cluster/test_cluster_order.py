"""Orders that meet: the latest one wins, whoever is still at work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from cluster.errors import ClusterError, Interrupted
from cluster.order import Superseded
from tests.unit.cluster.services import Wanted, World

OLD, NEW = Wanted(version="1.0", instances=3), Wanted(version="1.1", instances=3)
FIRST, SECOND, THIRD = (f"2026-01-01T00:0{n}:00.000000000Z" for n in (1, 2, 3))


def when(world: World, condition: Callable[[], bool], then: Callable[[], object]) -> None:
    """Do something once, as soon as something is true."""
    done: list[object] = []

    def look() -> None:
        if not done and condition():
            done.append(True)
            then()

    world.clock.listeners.append(look)


def test_a_rollout_stops_when_a_later_order_comes_and_that_one_goes_on(world: World) -> None:
    world.apply(OLD, order=FIRST)
    since = len(world.cluster.serving)
    when(
        world,
        lambda: f"{NEW.release}-1" in world.served(),
        lambda: world.etcd.put("/orders/api", THIRD),
    )

    with pytest.raises(Superseded, match=f"another order for api holds now .{THIRD}"):
        world.apply(NEW, order=SECOND)
    stopped_with = world.served()
    world.apply(OLD, order=THIRD)

    assert any(NEW.release in instance for instance in stopped_with)
    assert world.served() == {f"{OLD.release}-{n}" for n in (1, 2, 3)}
    assert not [name for name in world.cluster.units if NEW.release in name]
    assert min(len(served) for served in world.cluster.serving[since:]) >= 3
    assert world.cluster.lost_requests == []


def test_what_was_interrupted_is_told_so_by_the_ledger(world: World) -> None:
    world.apply(OLD)
    world.kill_after(40, answered=True)
    with suppress(Interrupted):
        world.apply(NEW)
    world.no_interrupt()
    assert world.record().ledger[NEW.release].outcome == "started"

    world.apply(OLD)

    assert world.record().ledger[NEW.release].outcome == "failed: interrupted"
    assert world.record().ledger[OLD.release].outcome == "serving"


def test_an_order_that_starts_too_late_changes_nothing(world: World) -> None:
    world.apply(OLD, order=THIRD)
    world.cluster.writes.clear()

    with pytest.raises(Superseded):
        world.apply(NEW, order=SECOND)

    assert world.cluster.writes == []
    assert world.record().current == OLD.release


def test_an_order_that_still_waits_for_the_lock_gives_up(world: World) -> None:
    world.apply(OLD, order=FIRST)
    world.etcd.put("/locks/api", '{"holder": "core-2", "since": "then"}')
    when(
        world,
        lambda: any("waiting" in line for line in world.lines),
        lambda: world.etcd.put("/orders/api", THIRD),
    )
    before = world.clock.now()

    with pytest.raises(Superseded):
        world.apply(NEW, order=SECOND)

    assert world.clock.now() - before < 10
    assert world.etcd.value("/locks/api") == '{"holder": "core-2", "since": "then"}'


def test_the_same_order_may_be_sent_again(world: World) -> None:
    world.apply(OLD, order=FIRST)
    world.cluster.weather.unhealthy.add("api %i 1.1")
    with pytest.raises(ClusterError, match="did not become ready"):
        world.apply(NEW, order=SECOND)
    world.cluster.weather.unhealthy.clear()

    world.apply(NEW, order=SECOND)

    assert world.record().current == NEW.release


def test_a_removal_stops_the_rollout_and_leaves_no_order(world: World) -> None:
    world.apply(OLD, order=FIRST)
    when(
        world,
        lambda: f"{NEW.release}-1" in world.served(),
        lambda: world.etcd.put("/orders/api", "removal"),
    )

    with pytest.raises(Superseded):
        world.apply(NEW, order=SECOND)
    world.remove()

    assert world.cluster.units == {}
    assert not [key for key in world.etcd.entries if key.startswith(("/orders/", "/services/api"))]


@pytest.mark.parametrize("requests", range(3, 120, 9))
def test_a_service_comes_back_after_a_removal_that_was_killed(requests: int) -> None:
    world = World()
    world.apply(OLD, order=FIRST)
    world.kill_after(requests, answered=True)
    with suppress(Interrupted):
        world.remove()
    world.no_interrupt()

    world.apply(OLD, order=FIRST)

    assert world.served() == {f"{OLD.release}-{n}" for n in (1, 2, 3)}


def test_an_order_given_by_hand_holds_up_nobody_afterwards(world: World) -> None:
    world.apply(OLD)

    world.apply(NEW, order=FIRST)

    assert world.record().current == NEW.release
