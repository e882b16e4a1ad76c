"""Whatever is interrupted, the same command run again gets to the same end."""

from __future__ import annotations

import signal

from lab.pulumi.engine import stacks_left
from lab.scratch_stack import hello
from tests.lab.leftovers import docker_objects, engine_processes
from tests.lab.stack import LabStack, eventually, succeeded

# As they come in a run; each run begins with finishing what the one before left.
MOMENTS = (
    "storage:BlobContainer registry creating",
    "compute:VirtualMachineScaleSet scale-set-core creating",
    "remote:Command fleet-ready creating",
    "remote:Command fleet-platform creating",
    "remote:Command hello-rollout creating",
)


def test_up_killed_again_and_again_gets_to_the_same_end(small: LabStack) -> None:
    for moment in MOMENTS:
        small.interrupt("up", moment, signal.SIGKILL)

    small.up()

    assert_is_complete(small)


def test_up_after_an_impatient_ctrl_c_gets_to_the_same_end(small: LabStack) -> None:
    """The second one ends pulumi at once, whatever it was doing."""
    release = small.served_by()["release"]

    small.configure(hello(env={"A": "b"}))
    small.interrupt("up", "hello-rollout updating", signal.SIGINT, times=2)
    small.up()

    assert_is_complete(small)
    assert small.served_by()["release"] != release


def test_an_update_that_was_killed_can_be_taken_back(small: LabStack) -> None:
    """Pulumi's state says that nothing was changed, so going back is no change to it: the cluster
    goes back by itself."""
    before, update = hello(env={"A": "b"}), hello(env={"A": "c"})
    small.configure(before)
    small.up()
    release = small.served_by()["release"]

    small.configure(update)
    small.interrupt("up", "instance 1: starting", signal.SIGKILL)
    small.configure(before)
    small.up()

    eventually(
        lambda: {one["release"] for one in small.instances()} == {release},
        "only the release from before is left",
    )
    assert small.served_by()["release"] == release
    assert_is_complete(small)


def test_down_interrupted_in_its_middle_can_be_run_again(small: LabStack) -> None:
    small.interrupt("down", "hello-rollout deleting", signal.SIGINT)
    for moment in ("scale-set-core deleting", "network-vnet deleting"):
        small.interrupt("down", moment, signal.SIGKILL)

    small.down()

    assert docker_objects(f"/resourceGroups/fleet-{small.name}/") == []
    assert engine_processes() == frozenset()
    assert small.name not in stacks_left()


def test_up_after_ctrl_c_gets_to_the_same_end(small: LabStack) -> None:
    for moment in ("scale-set-core creating", "fleet-platform creating"):
        small.interrupt("up", moment, signal.SIGINT)

    small.up()

    assert_is_complete(small)


def assert_is_complete(small: LabStack) -> None:
    """One machine in fleet and in etcd, one instance that answers; nothing more, nothing twice."""
    found = small.cluster()
    assert [one["node"] for one in found["machines"]] == ["core-0"]
    assert [one["healthy"] for one in found["etcd"]] == [True]
    assert [one["announced"] for one in small.instances()] == [True]
    assert small.served_by()["instance"] == "1"
    assert small.azure_ids() == small.state_ids()
    machines = f"/resourceGroups/fleet-{small.name}/providers/Microsoft.Compute/"
    assert len([one for one in docker_objects(machines) if one.startswith("container")]) == 1
    assert engine_processes() == frozenset()
    succeeded(small.pulumi("preview", "--expect-no-changes"))
