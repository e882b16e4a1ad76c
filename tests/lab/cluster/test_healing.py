"""Things die: an instance, a machine, a machine's system disk, everything at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab import deaths
from tests.lab.stack import LabStack, eventually, succeeded

NODES = ["core-0", "core-1", "core-2"]


def test_a_crashed_instance_comes_back_and_only_its_open_request_suffers(stack: LabStack) -> None:
    before = containers_by_instance(stack)

    with stack.steady_requests() as answers:
        crashed = stack.get("/crash", method="POST").body.split()[0]
        eventually(
            lambda: containers_by_instance(stack).get(crashed) not in (None, before[crashed]),
            f"instance {crashed} is back in a new container",
        )

    assert len(answers.failures) <= 1, answers.failures
    assert stack.pulumi("preview", "--expect-no-changes").returncode == 0


def test_a_killed_machines_instances_move_and_it_rejoins(stack: LabStack) -> None:
    victim = stack.instances()[0]["machine"]

    stack.fault("kill", victim)
    eventually(lambda: answers_well(stack), "the load balancer leaves the dead machine out")
    with stack.steady_requests() as answers:
        eventually(
            lambda: is_whole(stack, [node for node in NODES if node != victim], instances=2),
            "its instances run on the machines that are left",
        )
        stack.fault("start", victim)
        eventually(lambda: is_whole(stack, NODES, instances=2), "it is in etcd and in fleet again")

    assert answers.failures == []
    assert stack.node(victim, "systemctl list-units --failed --no-legend --plain") == ""


def test_a_reimaged_machine_comes_back_as_the_same_member_with_its_disk(stack: LabStack) -> None:
    members = member_ids(stack)
    stack.node("core-1", "sudo touch /var/lib/etcd/kept /home/core/gone")

    stack.fault("reimage", "core-1")
    eventually(lambda: is_whole(stack, NODES, instances=2), "it is in etcd and in fleet again")

    assert "kept" in stack.node("core-1", "sudo ls /var/lib/etcd")
    assert stack.node("core-1", "sudo ls /home/core") == ""
    assert member_ids(stack) == members


@pytest.mark.parametrize(
    "death", [deaths.every_container, deaths.the_docker_daemon, deaths.the_whole_machine]
)
def test_up_brings_everything_back_after_the_death_of(
    stack: LabStack, death: Callable[[], None]
) -> None:
    death()

    stack.up()
    eventually(lambda: is_whole(stack, NODES, instances=2), "the cluster stands again")

    assert answers_well(stack)
    succeeded(stack.pulumi("preview", "--expect-no-changes"))


def is_whole(stack: LabStack, nodes: list[str], *, instances: int) -> bool:
    """Whether the cluster is complete with these machines: etcd, fleet, routers, instances."""
    stack.forget()  # addresses may have changed with the machines
    found = stack.cluster()
    known = next(one["instances"] for one in found["services"] if one["name"] == "hello")
    serving = [one for one in known if one["announced"]]
    return (
        sorted(one["node"] for one in found["machines"]) == nodes
        and sorted(one["name"] for one in found["etcd"] if one["healthy"]) == nodes
        and sorted(one["node"] for one in found["routers"] if not one["error"]) == nodes
        and len(serving) == len(known) == instances
        and len({one["machine"] for one in serving} & set(nodes)) == instances
    )


def answers_well(stack: LabStack) -> bool:
    """Whether forty requests in a row are answered: enough to meet every machine."""
    return all(stack.get("/json", timeout=5).status == 200 for _ in range(40))


def containers_by_instance(stack: LabStack) -> dict[str, str]:
    """Who answers: instance → its container, as far as twenty requests tell."""
    served_by = [stack.served_by() for _ in range(20)]
    return {one["instance"]: one["host"] for one in served_by}


def member_ids(stack: LabStack) -> dict[str, str]:
    return {one["name"]: one["id"] for one in stack.etcd("/v2/members")["members"]}
