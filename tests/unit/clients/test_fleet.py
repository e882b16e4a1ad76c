"""The client of fleet's API, also while fleet does not answer."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from clients.etcd import Etcd
from clients.fleet import DesiredState, Fleet, FleetError, FleetUnavailable, Option
from tests.unit.cluster.services import World
from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_etcd import SimulatedEtcd

OPTIONS = (
    Option(section="Unit", name="Description", value="x"),
    Option(section="Service", name="ExecStart", value="/bin/x"),
)


def fleet_of(answer: Callable[[httpx.Request], httpx.Response]) -> Fleet:
    clock = SimulatedClock()
    etcd = Etcd(transport=SimulatedEtcd(clock).transport, clock=clock)
    return Fleet(etcd, transport=httpx.MockTransport(answer), clock=clock)


def test_pages_are_read_to_the_end(world: World) -> None:
    for n in range(12):
        world.fleet.create(f"u{n}.service", OPTIONS, DesiredState.INACTIVE)

    assert len(world.fleet.units()) == 12


def test_write_of_unknown_outcome_is_repeated(world: World) -> None:
    world.cluster.faults = ["", "after", "before", "unavailable"]

    world.fleet.create("u.service", OPTIONS, DesiredState.LAUNCHED)

    unit = world.fleet.unit("u.service")
    assert unit is not None
    assert unit.desired is DesiredState.LAUNCHED
    assert unit.options == OPTIONS


def test_unit_with_other_content_is_never_replaced(world: World) -> None:
    world.fleet.create("u.service", OPTIONS, DesiredState.INACTIVE)

    with pytest.raises(FleetError, match="exists with other content"):
        world.fleet.create("u.service", OPTIONS[:1], DesiredState.LAUNCHED)


def test_destroying_an_unknown_unit_succeeds(world: World) -> None:
    world.fleet.destroy(["unknown.service"])

    assert world.fleet.unit("unknown.service") is None


def test_text_is_deleted_with_the_last_unit_that_has_it(world: World) -> None:
    """fleet itself keeps texts forever, and reads all of them in every pass."""
    for name, options in (("a", OPTIONS), ("b", OPTIONS), ("c", OPTIONS[:1])):
        world.fleet.create(f"{name}.service", options, DesiredState.INACTIVE)

    world.fleet.destroy(["a.service"])
    after_one = world.cluster.texts
    world.fleet.destroy(["b.service"])

    assert len(after_one) == 2
    assert len(world.cluster.texts) == 1
    assert world.fleet.units().keys() == {"c.service"}


def test_long_silence_ends_in_an_error_that_says_where_to_look(world: World) -> None:
    world.cluster.faults = ["unavailable"] * 20

    with pytest.raises(FleetUnavailable, match=r"503 no etcd.*systemctl status fleet etcd"):
        world.fleet.units()


def test_refusal_is_not_repeated() -> None:
    requests = []

    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.method == "GET":
            return httpx.Response(404)
        return httpx.Response(400, json={"error": {"code": 400, "message": "bad unit"}})

    fleet = fleet_of(refuse)

    with pytest.raises(FleetError, match="bad unit"):
        fleet.create("u.service", OPTIONS, DesiredState.LAUNCHED)
    assert [request.method for request in requests] == ["GET", "PUT"]


def test_body_is_what_fleet_expects() -> None:
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        assert request.headers["Content-Type"] == "application/json"
        assert request.url.path == "/fleet/v1/units/api-12345678@1.service"
        bodies.append(json.loads(request.content))
        return httpx.Response(201)

    fleet = fleet_of(answer)
    fleet.create("api-12345678@1.service", OPTIONS[:1], DesiredState.LAUNCHED)

    given = {"section": "Unit", "name": "Description", "value": "x"}
    kept_loaded = {"section": "Install", "name": "WantedBy", "value": "fleet-units.target"}
    assert bodies == [{"desiredState": "launched", "options": [given, kept_loaded]}]
