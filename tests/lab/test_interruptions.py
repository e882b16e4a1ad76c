"""Whatever is interrupted, the same command run again gets to the same end."""

from __future__ import annotations

import signal

import pytest

from tests.lab.leftovers import docker_objects
from tests.lab.stack import LabStack, eventually, succeeded

MOMENTS = (
    "storage:BlobContainer registry creating",
    "compute:VirtualMachineScaleSet scale-set-core creating",
    "remote:Command fleet-ready creating",
    "remote:Command fleet-platform creating",
    "remote:Command hello-rollout creating",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_up_can_be_run_again(small: LabStack, moment: str) -> None:
    small.interrupt("up", moment, signal.SIGKILL)

    # the next moment's run is the "again", and the last one's is the next test
    assert small.azure_ids() or small.state_ids()


def test_up_after_all_these_gets_to_the_same_end(small: LabStack) -> None:
    small.up()

    assert_is_complete(small)


def test_killed_down_can_be_run_again(small: LabStack) -> None:
    small.interrupt("down", "deleting", signal.SIGKILL)

    small.down()

    assert small.azure_ids() == set()
    assert docker_objects(f"/resourceGroups/fleet-{small.name}/") == []


@pytest.mark.parametrize("moment", [MOMENTS[1], MOMENTS[3]])
def test_ctrl_c_during_up_then_up_gets_to_the_same_end(small: LabStack, moment: str) -> None:
    small.interrupt("up", moment, signal.SIGINT)


def test_up_after_ctrl_c_gets_to_the_same_end(small: LabStack) -> None:
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
    succeeded(small.pulumi("preview", "--expect-no-changes"))
    machines = docker_objects(f"/resourceGroups/fleet-{small.name}/providers/Microsoft.Compute/")
    assert len([one for one in machines if one.startswith("container")]) == 1
