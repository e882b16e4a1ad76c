"""`make down` leaves nothing behind. The last tests of all: they take the cluster away."""

from __future__ import annotations

import pytest

from lab.engine import stacks_left
from tests.lab.leftovers import Machine, docker_objects
from tests.lab.stack import LabStack, eventually


def test_down_leaves_nothing_of_the_stack(stack: LabStack) -> None:
    stack.down()

    assert docker_objects(f"/resourceGroups/fleet-{stack.name}/") == []
    assert stack.name not in stacks_left()


def test_down_of_the_last_stack_leaves_nothing_at_all(stack: LabStack, untouched: Machine) -> None:
    if stacks_left():
        pytest.skip(f"other stacks still run: {stacks_left()}")
    stack.down()

    assert docker_objects() == []
    eventually(lambda: Machine.now().since(untouched) == [], "the machine is as it was before")


def test_down_again_is_fine(stack: LabStack) -> None:
    stack.down()
