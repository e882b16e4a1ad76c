"""`make down` leaves nothing behind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lab.machine import docker_daemon
from lab.pulumi import push_images
from lab.pulumi.backend import stacks_left
from tests.lab.alone import deaths
from tests.lab.leftovers import Machine, docker_objects
from tests.lab.stack import LabStack, eventually
from tools.images.catalogue import IMAGES


@pytest.mark.usefixtures("standing")
def test_only_old_images_that_nothing_needs_are_removed() -> None:
    client = docker_daemon.find()
    current = IMAGES["python"].reference
    running = {one.id: one.status for one in client.containers.list()}
    client.images.get(current).tag("fleet/python", "of-yesterday")
    client.images.get(current).tag("other/image", "python")

    push_images.forget_old(client)
    young = {tag for image in client.images.list() for tag in image.tags}
    push_images.forget_old(client, kept=timedelta(0))

    left = {tag for image in client.images.list() for tag in image.tags}
    assert {current, "other/image:python"} <= left
    assert "fleet/python:of-yesterday" in young, "another clone may be building on it"
    assert "fleet/python:of-yesterday" not in left
    assert {one.id: one.status for one in client.containers.list()} == running
    client.images.remove("other/image:python")


def test_down_leaves_nothing_of_the_stack(standing: LabStack) -> None:
    standing.down()

    assert docker_objects(f"/resourceGroups/fleet-{standing.name}/") == []
    assert standing.name not in stacks_left()
    standing.down()  # again is fine


def test_the_lab_is_removed_with_its_last_stack(
    small: LabStack, standing: LabStack, untouched: Machine
) -> None:
    for one in (small, standing):
        one.down()
    skip_if_others_run()

    assert_is_as_before(untouched)


def test_down_removes_everything_of_a_lab_whose_machine_died(
    small: LabStack, untouched: Machine
) -> None:
    skip_if_others_run()
    small.up()
    deaths.the_whole_machine()

    small.down()

    assert_is_as_before(untouched)


def skip_if_others_run() -> None:
    if stacks_left():
        pytest.skip(f"other stacks still run: {stacks_left()}")


def assert_is_as_before(untouched: Machine) -> None:
    assert docker_objects() == []
    eventually(lambda: nothing_came(untouched), "the machine is as it was before")


def nothing_came(untouched: Machine) -> bool:
    came = Machine.now().since(untouched)
    assert came == []
    return True
