"""The verb `certificates` writes the certificates' keys and waits for the routers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clients.certificate_store import read_sources
from clients.errors import ClusterError, Interrupted
from cluster.certificates import certificates
from contract.codec import Malformed
from contract.requests import Certificates, read_request
from tests.unit.cluster.services import World

OURS = {"secret": "certificate-tok-tv", "version": "0a1b", "hosts": ["api.tok.tv", "*.live.tok.tv"]}
BOUGHT = {"secret_id": "https://docebo.vault.azure.net/secrets/wildcard"}


def change_certificates(world: World, **wanted: dict[str, Any]) -> list[str]:
    """Run the verb. Returns what it printed."""
    world.lines.clear()
    certificates(
        read_request(Certificates, json.dumps({"certificates": wanted})),
        world.context(),
    )
    return world.lines


def keys(world: World) -> dict[str, Any]:
    return {
        key.rpartition("/")[2]: json.loads(entry.value or "")
        for key, entry in world.etcd.entries.items()
        if key.startswith("/certificates/")
    }


def some_router(world: World) -> str:
    return next(iter(world.cluster.machines))


def test_certificates_are_written_as_routers_read_them(world: World) -> None:
    printed = change_certificates(world, tok=OURS, docebo=BOUGHT)

    assert keys(world) == {"tok": OURS, "docebo": BOUGHT}
    found = world.client.find("/certificates", recursive=True)
    assert found is not None
    sources, problems = read_sources(found.node)
    assert (sorted(sources), problems) == (["docebo", "tok"], [])
    assert printed == [
        "certificate docebo: added",
        "certificate tok: added",
        "certificates: every router serves with docebo, tok",
    ]


def test_only_what_changed_is_written(world: World) -> None:
    change_certificates(world, tok=OURS, docebo=BOUGHT)
    before = world.etcd.entries["/certificates/docebo"].modified

    printed = change_certificates(world, tok={**OURS, "version": "2c3d"}, docebo=BOUGHT)

    assert printed[0] == "certificate tok: changed"
    assert keys(world)["tok"]["version"] == "2c3d"
    assert world.etcd.entries["/certificates/docebo"].modified == before


def test_only_certificates_that_are_no_longer_wanted_are_removed(world: World) -> None:
    world.etcd.put("/services/api/route", "{}")
    change_certificates(world, tok=OURS, docebo=BOUGHT)

    printed = change_certificates(world, tok=OURS)

    assert keys(world) == {"tok": OURS}
    assert printed[0] == "certificate docebo: removed"
    assert world.etcd.value("/services/api/route") == "{}"


def test_last_certificate_can_be_removed(world: World) -> None:
    change_certificates(world, tok=OURS)

    assert change_certificates(world) == ["certificate tok: removed"]
    assert keys(world) == {}


def test_no_change_writes_nothing_and_says_so(world: World) -> None:
    change_certificates(world, tok=OURS)
    before = world.etcd.entries["/certificates/tok"].modified

    printed = change_certificates(world, tok=OURS)

    assert printed == ["certificates: unchanged", "certificates: every router serves with tok"]
    assert world.etcd.entries["/certificates/tok"].modified == before


def test_stack_without_certificates_asks_no_router(world: World) -> None:
    for machine in list(world.cluster.machines):
        world.cluster.lose_machine(machine)
    world.let_pass(20)

    assert change_certificates(world) == ["certificates: unchanged"]


def test_change_waits_for_every_living_router(world: World) -> None:
    stuck = some_router(world)
    world.cluster.router_faults.stuck.add(stuck)

    with pytest.raises(
        ClusterError, match=rf"the router on {stuck[:4]} has not applied it \(nginx"
    ):
        change_certificates(world, tok=OURS)

    world.cluster.router_faults.stuck.clear()
    assert change_certificates(world, tok=OURS)[-1] == "certificates: every router serves with tok"


def test_change_does_not_wait_for_a_dead_router(world: World) -> None:
    world.cluster.kill_machine(some_router(world))

    printed = change_certificates(world, tok=OURS)

    assert printed[-1] == "certificates: every router serves with tok"


def test_certificate_that_no_router_can_load_is_named_and_the_change_undone(world: World) -> None:
    change_certificates(world, tok=OURS)
    for machine in world.cluster.machines:
        world.cluster.router_faults.left_out[machine] = [
            ("/services/x/route", "not JSON; it is {"),
            ("/certificates/docebo", "https://docebo…: 403 Forbidden; version 1 is served on"),
        ]

    with pytest.raises(ClusterError) as failure:
        change_certificates(world, docebo=BOUGHT)

    assert "no router has certificate docebo (" in str(failure.value)
    assert ": https://docebo…: 403 Forbidden; version 1 is served on" in str(failure.value)
    assert "tok" not in str(failure.value)
    assert keys(world) == {"tok": OURS}


def test_expired_certificate_blocks_no_change_of_others(world: World) -> None:
    change_certificates(world, tok=OURS)
    world.cluster.router_faults.expired = {"tok"}

    printed = change_certificates(world, tok=OURS, docebo=BOUGHT)

    assert keys(world) == {"tok": OURS, "docebo": BOUGHT}
    assert "certificate tok HAS EXPIRED and is served on: set a new one" in printed
    for machine in world.cluster.machines:
        world.cluster.router_faults.left_out[machine] = [("/certificates/docebo", "timed out")]
    with pytest.raises(ClusterError, match="no router has certificate docebo") as failure:
        change_certificates(world, tok=OURS, docebo={**OURS, "version": "2c3d"})
    assert "tok" not in str(failure.value)


@pytest.mark.parametrize("requests", range(1, 30))
def test_interrupted_change_is_undone(world: World, requests: int) -> None:
    change_certificates(world, tok=OURS)
    for machine in world.cluster.machines:
        world.cluster.router_faults.left_out[machine] = [("/certificates/tok", "is being fetched")]
    world.interrupt_after(requests, answered=requests % 2 == 0)

    with pytest.raises(Interrupted):
        change_certificates(world, tok={**OURS, "version": "2c3d"}, another=BOUGHT)

    assert keys(world) == {"tok": OURS}
    assert "/locks/certificates" not in world.etcd.entries


def test_one_change_waits_for_the_other(world: World) -> None:
    world.etcd.put("/locks/certificates", '{"holder": "core-2", "since": "2026-01-01T00:00:00Z"}')

    with pytest.raises(ClusterError, match="certificates is locked by"):
        change_certificates(world, tok=OURS)

    assert keys(world) == {}


def test_certificate_that_one_router_cannot_load_is_named_with_its_node(world: World) -> None:
    machine = some_router(world)
    world.cluster.router_faults.left_out[machine] = [("/certificates/tok", "timed out")]

    with pytest.raises(
        ClusterError, match=rf"not every router has certificate tok \({machine[:4]}: timed out\)"
    ):
        change_certificates(world, tok=OURS)


def test_change_waits_for_a_certificate_that_arrives_late(world: World) -> None:
    for machine in world.cluster.machines:
        world.cluster.router_faults.left_out[machine] = [("/certificates/tok", "is being fetched")]
    begun = world.clock.now()

    def arrive() -> None:
        if world.clock.now() - begun > 20:
            world.cluster.router_faults.left_out.clear()

    world.clock.listeners.append(arrive)

    printed = change_certificates(world, tok=OURS)

    assert printed[-1] == "certificates: every router serves with tok"
    assert world.clock.now() - begun > 20


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"certificates": {"A": OURS}}, "certificate 'A': its name must be 1 to 60 characters"),
        (
            {"certificates": {"tok": {"secret": "x", "version": "1"}}},
            "certificates.tok: hosts must name",
        ),
        (
            {"certificates": {"tok": {**OURS, **BOUGHT}}},
            "certificates.tok: needs either secret .* or secret_id",
        ),
        ({"certificates": {"tok": "x"}}, "certificates.tok must be an object, not 'x'"),
        ({"certificates": {}, "more": 1}, "more is unknown here; known: certificates"),
        ({}, "certificates is missing"),
    ],
)
def test_wrong_request_is_refused_with_the_place(request_: Any, problem: str) -> None:
    with pytest.raises(Malformed, match=problem):
        read_request(Certificates, json.dumps(request_))
