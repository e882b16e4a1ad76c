"""The platform's global units: started everywhere, replaced node by node."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest

from clients.errors import ClusterError, Interrupted
from clients.registry import Registry
from cluster.platform.global_rollout import GlobalRollout
from cluster.platform.platform import platform
from contract.requests import Platform
from tests.unit.cluster.services import World

UNIT = """\
[Unit]
Description={key} __RELEASE__ {version}
[Service]
ExecStart=/opt/bin/container-run {key}
[X-Fleet]
Global=true
"""


def apply_platform(world: World, version: str = "1") -> None:
    images = {
        name: hashlib.sha256(f"{name} {version}".encode()).hexdigest()
        for name in ("cluster", "registry", "router")
    }
    units = {key: UNIT.format(key=key, version=version) for key in ("registry", "router")}
    registry = Registry(
        world.clock,
        world.lines.append,
        cluster="fleet-dev",
        transport=httpx.MockTransport(lambda _: httpx.Response(404)),
    )
    platform(
        Platform(images=images, units=units, timeout=60),
        replace(world.context(), registry=registry),
    )


def running(world: World, key: str) -> dict[str, list[str]]:
    """The releases of `key` that run, by machine."""
    return {
        machine: [
            name
            for (name, where), job in sorted(world.cluster.jobs.items())
            if name.startswith(f"{key}-") and where == machine and job.active == "active"
        ]
        for machine in world.cluster.machines
    }


def test_first_platform_runs_on_every_node(world: World) -> None:
    apply_platform(world)

    for key in ("registry", "router"):
        assert all(len(units) == 1 for units in running(world, key).values())
    sha256 = hashlib.sha256(b"router 1").hexdigest()
    assert world.etcd.value("/platform/images/router") == sha256


def test_unchanged_platform_touches_no_unit(world: World) -> None:
    apply_platform(world)
    world.cluster.writes.clear()

    apply_platform(world)

    assert world.cluster.writes == []


def test_routers_are_replaced_one_node_at_a_time(world: World) -> None:
    apply_platform(world)
    old = running(world, "router")
    without_router: list[int] = []

    def watch() -> None:
        without_router.append(sum(not units for units in running(world, "router").values()))

    world.clock.listeners.append(watch)

    apply_platform(world, "2")

    new = running(world, "router")
    assert max(without_router) == 1
    assert all(len(units) == 1 for units in new.values())
    assert all(new[machine] != old[machine] for machine in new)
    assert len([name for name in world.cluster.units if name.startswith("router-")]) == 1
    assert not [name for name in world.cluster.units if name.startswith("turn")]


def test_router_that_does_not_start_stops_the_replacement(world: World) -> None:
    apply_platform(world)
    old = running(world, "router")
    (old_name,) = {name for names in old.values() for name in names}
    world.cluster.failing["turn-router-"] = 1

    with pytest.raises(ClusterError, match=f"could not be started on .*{old_name} runs again"):
        apply_platform(world, "2")

    assert running(world, "router") == old


def test_switchover_checks_for_the_units_scripts_before_it_stops_anything(world: World) -> None:
    """A node of an older model has an older bundle."""
    apply_platform(world)
    asked: list[list[str]] = []

    def watch() -> None:
        for name, unit in world.cluster.units.items():
            if name.startswith("turn-router-"):
                asked.append([o["value"] for o in unit.options if o["name"] == "ExecStart"])

    world.clock.listeners.append(watch)

    apply_platform(world, "2")

    assert {commands[0] for commands in asked} == {"/usr/bin/test -x /opt/bin/container-run"}


def test_failure_after_the_last_switchover_is_undone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_platform(world)
    old = running(world, "router"), running(world, "registry")

    def never(_: GlobalRollout) -> None:
        raise ClusterError("gave up waiting")

    monkeypatch.setattr(GlobalRollout, "_await_running", never)

    with pytest.raises(ClusterError, match="runs again everywhere"):
        apply_platform(world, "2")

    assert (running(world, "router"), running(world, "registry")) == old


@pytest.mark.parametrize("requests", range(5, 330, 13))
def test_interrupted_replacement_is_finished_by_the_next_one(requests: int) -> None:
    world = World()
    apply_platform(world)
    old = running(world, "router")
    world.interrupt_after(requests, answered=requests % 2 == 0)
    with suppress(Interrupted):
        apply_platform(world, "2")
    world.no_interrupt()

    apply_platform(world, "2")

    new = running(world, "router")
    assert all(len(units) == 1 for units in new.values())
    assert all(new[machine] != old[machine] for machine in new)
    assert len(world.cluster.units) == 2


@pytest.mark.parametrize("requests", range(5, 330, 13))
def test_old_platform_undoes_an_interrupted_replacement(requests: int) -> None:
    world = World()
    apply_platform(world)
    old = running(world, "router"), running(world, "registry")
    world.interrupt_after(requests, answered=requests % 2 == 0)
    with suppress(Interrupted):
        apply_platform(world, "2")
    world.no_interrupt()
    without_router: list[int] = []
    world.clock.listeners.append(
        lambda: without_router.append(sum(not units for units in running(world, "router").values()))
    )

    apply_platform(world)

    assert (running(world, "router"), running(world, "registry")) == old
    assert len(world.cluster.units) == 2
    assert max(without_router, default=0) <= 1


def interrupted_after_one_node(world: World) -> None:
    """Replace platform 1 by 2, and interrupt that when the first node has the new router."""
    old = running(world, "router")
    for count in range(1, 2000):
        world.interrupt_after(count, answered=True)
        with pytest.raises(Interrupted):
            apply_platform(world, "2")
        world.no_interrupt()
        now = running(world, "router")
        if sum(now[machine] != old[machine] for machine in old) == 1 and all(now.values()):
            return
    raise AssertionError("no machine changed alone")


def test_failure_after_an_interrupted_replacement_goes_back_to_the_first_release(
    world: World,
) -> None:
    apply_platform(world)
    old = running(world, "router")
    interrupted_after_one_node(world)
    world.cluster.failing["turn-router-"] = 1

    with pytest.raises(ClusterError, match="runs again everywhere"):
        apply_platform(world, "3")

    assert running(world, "router") == old
    apply_platform(world)
    assert running(world, "router") == old


def test_failure_while_undoing_an_interrupted_replacement_leaves_other_nodes_alone(
    world: World,
) -> None:
    apply_platform(world)
    old = running(world, "router")
    interrupted_after_one_node(world)
    before = running(world, "router")
    world.cluster.failing["turn-router-"] = 1

    with pytest.raises(ClusterError, match="could not be started"):
        apply_platform(world)

    now = running(world, "router")
    assert sum(now[machine] == before[machine] == old[machine] for machine in old) == len(old) - 1
    world.cluster.failing.clear()
    apply_platform(world)
    assert running(world, "router") == old


def test_interruption_between_stop_and_start_of_a_switchover_is_undone(world: World) -> None:
    apply_platform(world)
    old = running(world, "router")
    machine, (name,) = next(iter(old.items()))
    for count in range(1, 2000):
        world.interrupt_after(count, answered=True)
        with pytest.raises(Interrupted):
            apply_platform(world, "2")
        world.no_interrupt()
        if len([unit for unit in world.cluster.units if unit.startswith("router-")]) == 2:
            break
    assert running(world, "router") == old
    world.cluster.jobs[name, machine].active = "inactive"  # its switchover had stopped it

    apply_platform(world)

    assert running(world, "router") == old
