"""No router sends a service's clients to another service's container, whatever restarts.

The nodes' own counter of ports is what keeps it so: docker's allocator begins anew with each start.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.cluster.services import Wanted, World
from tests.unit.cluster.simulated_ports import CountedPorts, DockersPorts, Ports

SERVICES = [Wanted(name=f"s{n}", instances=1) for n in range(6)]


def cluster_of_services(ports: Callable[[], Ports]) -> World:
    world = World(ports=ports)
    for service in SERVICES:
        world.apply(service)
    # what starts again does not do so in the order in which it once was started
    world.cluster.pulls = {f"{service.name}-": 0.5 - n / 10 for n, service in enumerate(SERVICES)}
    return world


def two_of_three_nodes_restart(world: World) -> None:
    """Without them etcd has no quorum: nothing expires until they are back."""
    _, *others = world.cluster.machines
    world.etcd.is_away = True
    for machine in others:
        world.cluster.kill_machine(machine)
    world.let_pass(20)
    for machine in others:
        world.cluster.boot_machine(machine)
    world.let_pass(2)
    world.etcd.is_away = False


def a_node_restarts_before_its_keys_end(world: World) -> None:
    machine = next(iter(world.cluster.machines))
    world.cluster.kill_machine(machine)
    world.let_pass(4)
    world.cluster.boot_machine(machine)


def docker_restarts_on_a_node(world: World) -> None:
    world.cluster.restart_docker(next(iter(world.cluster.machines)))


def an_instance_dies_while_another_starts(world: World) -> None:
    victim = next(key for key in world.cluster.jobs if key[0].startswith("s0-"))
    world.cluster.crash(*victim)
    world.apply(Wanted(name="s6", instances=3))


FAULTS = [
    two_of_three_nodes_restart,
    a_node_restarts_before_its_keys_end,
    docker_restarts_on_a_node,
    an_instance_dies_while_another_starts,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_answer_is_the_services_own(fault: Callable[[World], None]) -> None:
    world = cluster_of_services(CountedPorts)

    fault(world)
    world.let_pass(60)

    assert world.cluster.misled_requests == []
    served = {key.partition("-")[0] for key in world.served()}
    assert served == {service.release for service in SERVICES} | (
        {Wanted(name="s6").release} if fault is an_instance_dies_while_another_starts else set()
    )


@pytest.mark.parametrize("fault", FAULTS[:2])
def test_with_dockers_own_ports_answers_are_anothers(fault: Callable[[World], None]) -> None:
    """What the tests above would find."""
    world = cluster_of_services(DockersPorts)

    fault(world)
    world.let_pass(60)

    assert world.cluster.misled_requests != []
