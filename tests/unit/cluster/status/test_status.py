"""What `status` prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clients.errors import ClusterError
from cluster.status.report import status
from tests.unit.cluster.services import Wanted, World
from tests.unit.cluster.some_members import SomeMembers


def picture(world: World) -> dict[str, Any]:
    return status(world.context(), SomeMembers(3), address="10.0.0.4")


def only_service(world: World) -> dict[str, Any]:
    (service,) = picture(world)["services"]
    assert isinstance(service, dict)
    return service


def test_status_shows_machines_routers_and_services(world: World) -> None:
    world.apply(Wanted())

    found = picture(world)

    (service,) = found["services"]
    assert [machine["address"] for machine in found["machines"]] == [
        "10.0.0.4",
        "10.0.0.5",
        "10.0.0.6",
    ]
    assert [member["healthy"] for member in found["etcd"]] == [True, True, True]
    assert len(found["routers"]) == 3
    assert (service["name"], service["release"], service["image"], service["wanted"]) == (
        "api",
        Wanted().release,
        "toktv/api:1.0",
        2,
    )
    assert [(i["n"], i["state"], i["announced"]) for i in service["instances"]] == [
        (1, "active (running)", True),
        (2, "active (running)", True),
    ]
    assert json.loads(json.dumps(found)) == found


def test_customer_is_shown_with_its_hosts_and_how_many_instances_serve(world: World) -> None:
    route = {
        "hosts": ["acme.docebo.example", "academy.acme.example"],
        "http": True,
        "customer": "acme",
        "sticky": True,
        "https_redirect": True,
    }
    world.apply(Wanted(name="lms-acme", route=route))

    service = only_service(world)

    assert (service["name"], service["customer"], service["sticky"]) == ("lms-acme", "acme", True)
    assert service["reached"] == ["https://acme.docebo.example", "https://academy.acme.example"]
    assert (service["ready"], service["wanted"], service["state"]) == (2, 2, "serving")
    assert service["trouble"] == []


def test_ports_and_the_default_site_are_addresses_too(world: World) -> None:
    route = {"hosts": [], "http": True, "tcp": [{"port": 64738}], "udp": [{"port": 64739}]}
    world.apply(Wanted(route=route))

    assert only_service(world)["reached"] == ["http://*", "tcp:64738", "udp:64739"]


def test_failed_release_of_a_serving_service_is_listed_as_trouble(world: World) -> None:
    world.apply(Wanted())
    world.cluster.unhealthy.add(Wanted(version="1.1").release)
    with pytest.raises(ClusterError):
        world.apply(Wanted(version="1.1"))

    service = only_service(world)

    assert (service["state"], service["release"]) == ("serving", Wanted().release)
    (line,) = service["trouble"]
    assert f"release {Wanted(version='1.1').release} (toktv/api:1.1) failed: " in line
    assert "GET /health answered 500" in line
    assert "\n" not in line


def test_service_that_never_came_up_has_failed(world: World) -> None:
    world.cluster.unhealthy.add(Wanted(version="1.0").release)
    with pytest.raises(ClusterError):
        world.apply(Wanted())

    service = only_service(world)

    assert (service["state"], service["ready"], service["release"]) == ("failed", 0, None)


@pytest.mark.parametrize(("instances", "state"), [(1, "down"), (3, "degraded")])
def test_instance_that_is_not_healthy_any_more_is_named(
    world: World, instances: int, state: str
) -> None:
    world.apply(Wanted(instances=instances))
    key = f"{Wanted().release}-1"
    world.cluster.unhealthy.add(Wanted(version="1.0").release)
    world.etcd.delete(f"/services/api/instances/{key}")
    note = {"node": "core", "reason": "GET /health answered 500", "log": "boom"}
    world.etcd.put(f"/services/api/failures/{key}", json.dumps(note))

    service = only_service(world)

    assert (service["state"], service["ready"]) == (state, instances - 1)
    assert service["trouble"] == [
        f"api {Wanted().release} instance 1: on core: GET /health answered 500; its last log lines:"
    ]


def test_running_and_interrupted_rollouts_have_different_states(world: World) -> None:
    world.apply(Wanted())
    world.etcd.put("/rollouts/api", "{}")

    interrupted = only_service(world)
    world.etcd.put("/locks/api", "{}")
    at_work = only_service(world)

    assert interrupted["state"] == "interrupted"
    assert interrupted["trouble"] == [
        "a change was not finished: run `pulumi up` again, or it is undone within two minutes"
    ]
    assert at_work["state"] == "rolling out"


def test_what_routers_leave_out_is_shown_with_its_service_and_certificate(world: World) -> None:
    world.apply(Wanted())
    source = {"secret": "certificate-tok", "version": "0a1b", "hosts": ["api.tok.tv"]}
    world.etcd.put("/certificates/tok", json.dumps(source))
    one, other, _ = world.cluster.machines
    route = "/services/api/route"
    others = [(route, "host api.tok.tv belongs to aaa"), (route, "tcp port 7000 belongs to bbb")]
    world.cluster.router_faults.left_out = {
        one: [*others, ("/certificates/tok", "403")],
        other: others,
    }
    world.let_pass(2)

    found = picture(world)

    (service,) = found["services"]
    assert service["trouble"] == [
        f"left out by the router on {one[:4]}, {other[:4]}: route: host api.tok.tv belongs to aaa; "
        "tcp port 7000 belongs to bbb"
    ]
    assert found["certificates"] == [
        {
            "name": "tok",
            "source": "certificate-tok/0a1b",
            "hosts": ["api.tok.tv"],
            "problems": {one[:4]: "403"},
        }
    ]
    assert found["trouble"] == []


def test_router_that_applies_nothing_new_is_trouble(world: World) -> None:
    stuck = next(iter(world.cluster.machines))
    world.cluster.router_faults.stuck.add(stuck)
    world.let_pass(2)

    assert picture(world)["trouble"] == [
        f"the router on {stuck[:4]} applies nothing new: nginx -t failed"
    ]


def test_key_that_can_not_be_read_hides_no_other_service(world: World) -> None:
    world.apply(Wanted())
    world.etcd.put("/services/broken/instances/0badcafe-1", "{")
    world.etcd.put("/services/odd/route", "{")

    found = picture(world)

    assert [service["name"] for service in found["services"]] == ["api", "odd"]
    assert found["services"][1]["trouble"][0].startswith("its route can't be used: not JSON")
    assert (
        "/services/broken/instances/0badcafe-1 in etcd can't be understood: not JSON"
        in found["trouble"][0]
    )
