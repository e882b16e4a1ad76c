"""Everything dies together, and `make up` restores it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab.alone import deaths
from tests.lab.stack import LabStack, eventually, succeeded
from tests.lab.wholeness import NODES, answers_well, is_whole


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
