"""What can't work is refused before anything is started."""

from __future__ import annotations

from typing import Any

from lab.scratch_stack import hello
from tests.lab.stack import LabStack, failed


def test_a_missing_image_is_found_before_anything_is_started(stack: LabStack) -> None:
    before, units = stack.starts("hello"), unit_names(stack)

    with stack.refused(hello(image="team/nothing:9.9.9")):
        said = failed(stack.lab("up", stack.name))

    assert f"image team/nothing:9.9.9 is not in the registry of fleet-{stack.name}" in said
    assert f"make registry STACK={stack.name}" in said
    assert stack.starts("hello") == before
    assert unit_names(stack) == units


def test_bad_input_is_refused_with_its_path_and_nothing_changes(stack: LabStack) -> None:
    before, resources = stack.starts("hello"), stack.azure_ids()

    def wrong(config: dict[str, Any]) -> None:
        config["fleet:nodes"] = 4
        config["fleet:services"]["hello"]["instnaces"] = 2
        config["fleet:services"]["other"] = {"image": "other", "tcp": [{"port": 2379}]}

    with stack.refused(wrong):
        said = failed(stack.lab("up", stack.name))

    for path in ("fleet:nodes", "fleet:services.hello.instnaces", "fleet:services.other.image"):
        assert path in said, "all problems at once"
    assert stack.starts("hello") == before
    assert stack.azure_ids() == resources


def test_after_refusals_the_stack_is_as_it_was(stack: LabStack) -> None:
    assert stack.pulumi("preview", "--expect-no-changes").returncode == 0


def unit_names(stack: LabStack) -> set[str]:
    listed = stack.node("core-0", "/opt/bin/fleetctl list-unit-files --no-legend --fields=unit")
    return set(listed.split())
