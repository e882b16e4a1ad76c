"""Whatever is interrupted, the same command run again gets to the same end."""

from __future__ import annotations

import signal

import pytest

from lab.pulumi.backend import stacks_left
from lab.scratch_stack import hello
from tests.lab.leftovers import docker_objects, engine_processes
from tests.lab.stack import LabStack, eventually, succeeded

KILL, CTRL_C = signal.SIGKILL, signal.SIGINT
MOMENTS = (
    ("storage:BlobContainer registry creating", KILL),
    ("compute:VirtualMachineScaleSet scale-set-core creating", KILL),
    ("compute:VirtualMachineScaleSet scale-set-core creating", CTRL_C),
    ("remote:Command fleet-ready creating", KILL),
    ("remote:Command fleet-platform creating", KILL),
    ("remote:Command fleet-platform creating", CTRL_C),
    ("remote:Command hello-rollout creating", KILL),
)
"""In the order of a run. Each run first finishes what the run before left."""


@pytest.fixture
def gone(small: LabStack) -> LabStack:
    """The stack, not up."""
    if small.name in stacks_left():
        small.down()
    small.configure()
    return small


@pytest.fixture
def standing(small: LabStack) -> LabStack:
    """The stack, up."""
    small.configure()
    if small.name not in stacks_left():
        small.up()
    return small


def test_up_interrupted_repeatedly_ends_in_the_same_state(gone: LabStack) -> None:
    for moment, number in MOMENTS:
        gone.interrupt("up", moment, number)

    gone.up()

    assert_is_complete(gone)


def test_up_after_two_ctrl_c_ends_in_the_same_state(standing: LabStack) -> None:
    """The second Ctrl-C ends pulumi immediately."""
    release = standing.served_by()["release"]

    standing.configure(hello(env={"A": "b"}))
    standing.interrupt("up", "hello-rollout updating", CTRL_C, times=2)
    standing.up()

    assert_is_complete(standing)
    assert standing.served_by()["release"] != release


def test_a_killed_update_can_be_undone(standing: LabStack) -> None:
    """Pulumi's state does not contain the killed change, so reverting the config sends nothing: the
    cluster must undo it on its own."""
    before, update = hello(env={"A": "b"}), hello(env={"A": "c"})
    standing.configure(before)
    standing.up()
    release = standing.served_by()["release"]

    standing.configure(update)
    standing.interrupt("up", "instance 1: starting", KILL)
    standing.configure(before)
    standing.up()

    eventually(
        lambda: {one["release"] for one in standing.instances()} == {release},
        "only the release from before is left",
    )
    assert standing.served_by()["release"] == release
    assert_is_complete(standing)


def test_an_interrupted_down_can_be_run_again(standing: LabStack) -> None:
    standing.interrupt("down", "hello-rollout deleting", CTRL_C)
    for moment in ("scale-set-core deleting", "network-vnet deleting"):
        standing.interrupt("down", moment, KILL)

    standing.down()

    assert docker_objects(f"/resourceGroups/fleet-{standing.name}/") == []
    assert engine_processes(standing.name) == frozenset()
    assert standing.name not in stacks_left()


def assert_is_complete(small: LabStack) -> None:
    """One node in fleet and in etcd and one instance that answers, without duplicates."""
    found = small.cluster()
    assert [one["node"] for one in found["machines"]] == ["core-0"]
    assert [one["healthy"] for one in found["etcd"]] == [True]
    assert [one["announced"] for one in small.instances()] == [True]
    assert small.served_by()["instance"] == "1"
    assert small.azure_ids() == small.state_ids()
    machines = f"/resourceGroups/fleet-{small.name}/providers/Microsoft.Compute/"
    assert len([one for one in docker_objects(machines) if one.startswith("container")]) == 1
    assert engine_processes(small.name) == frozenset()
    succeeded(small.pulumi("preview", "--expect-no-changes"))
