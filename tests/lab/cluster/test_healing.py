"""Things die: an instance, a VM, a VM's system disk."""

from __future__ import annotations

from tests.lab.stack import LabStack, eventually
from tests.lab.wholeness import NODES, answers_well, is_whole


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


def test_instances_of_a_killed_node_move_and_the_node_rejoins(stack: LabStack) -> None:
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


def test_a_reimaged_node_keeps_its_disk_and_membership(stack: LabStack) -> None:
    members = member_ids(stack)
    stack.node("core-1", "sudo touch /var/lib/etcd/kept /home/core/gone")

    stack.fault("reimage", "core-1")
    eventually(lambda: is_whole(stack, NODES, instances=2), "it is in etcd and in fleet again")

    assert "kept" in stack.node("core-1", "sudo ls /var/lib/etcd")
    assert stack.node("core-1", "sudo ls /home/core") == ""
    assert member_ids(stack) == members


def containers_by_instance(stack: LabStack) -> dict[str, str]:
    """Who answers: instance → its container, as far as twenty requests tell."""
    served_by = [stack.served_by() for _ in range(20)]
    return {one["instance"]: one["host"] for one in served_by}


def member_ids(stack: LabStack) -> dict[str, str]:
    return {one["name"]: one["id"] for one in stack.etcd("/v2/members")["members"]}
