from __future__ import annotations

import pytest

from lab.pulumi.backend import stacks_left
from tests.lab.stack import LabStack


@pytest.fixture
def standing(stack: LabStack) -> LabStack:
    """The stack, up again if the test before took it down."""
    if stack.name not in stacks_left():
        stack.up()
    return stack
