"""Whatever is interrupted, the same command run again gets to the same end."""

from __future__ import annotations

import signal

from tests.lab.leftovers import docker_objects
from tests.lab.stack import LabStack, succeeded


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
    succeeded(small.pulumi("preview", "--expect-no-changes"))
