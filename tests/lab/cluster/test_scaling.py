"""More or fewer instances: only the difference is started or stopped, and no request fails."""

from __future__ import annotations

import time

from lab.scratch_stack import hello
from tests.lab.stack import LabStack


def test_scaling_starts_and_stops_just_the_difference(stack: LabStack) -> None:
    two = stack.starts("hello")
    began = time.time()

    with stack.steady_requests() as answers:
        with stack.changed(hello(instances=3)):
            stack.up()
            three = stack.starts("hello")
            stack.configure(hello(instances=1))
            stack.up()
            one = stack.starts("hello")
        again = stack.starts("hello")

    assert answers.failures == []
    assert [len(two), len(three), len(one), len(again)] == [4, 6, 2, 4]
    assert two.items() <= three.items()
    assert one.items() <= two.items()
    assert one.items() <= again.items()
    assert {answer["instance"] for answer in answers.served_by} == {"1", "2", "3"}
    # a step that fails ends an agent's pass, and all else on that node waits
    for node in stack.nodes:
        done = stack.node(node, f"sudo journalctl --quiet --unit fleet --since @{began:.0f}")
        assert "task failed" not in done
