"""Fewer machines are refused before any goes, with the real engine."""

import json
from pathlib import Path

import pytest

from tests.unit.lab.providers.pulumi_stack import PulumiStack

PROGRAM = """
    import pulumi
    from components.credentials import SshKeyPair
    from components.node_count import NodeCount

    count = NodeCount("node-count", nodes={nodes})
    SshKeyPair("machines-{nodes}", comment="x", opts=pulumi.ResourceOptions(depends_on=[count]))
"""


@pytest.fixture
def engine(tmp_path: Path) -> PulumiStack:
    """A stack with three machines."""
    stack = PulumiStack(tmp_path, {})
    stack.program(PROGRAM.format(nodes=3))
    stack.init()
    made = stack.up()
    assert made.succeeded, made.text
    return stack


def test_the_same_number_is_no_change(engine: PulumiStack) -> None:
    again = engine.run("preview", "--expect-no-changes")

    assert again.succeeded, again.text


def test_more_are_taken(engine: PulumiStack) -> None:
    engine.program(PROGRAM.format(nodes=5))

    more = engine.up()

    assert more.succeeded, more.text


def test_fewer_are_refused_at_preview(engine: PulumiStack) -> None:
    engine.program(PROGRAM.format(nodes=1))

    refused = engine.preview()

    assert not refused.succeeded
    assert "fleet:nodes = 1: must not be less than 3" in refused.text
    assert "docs/operations.md#more-or-fewer-machines" in refused.text


def test_without_a_preview_fewer_are_refused_before_any_machine_goes(engine: PulumiStack) -> None:
    engine.program(PROGRAM.format(nodes=1))

    refused = engine.up()

    assert not refused.succeeded
    assert "machines-3" in exported(engine)
    assert "machines-1" not in exported(engine)


def test_the_state_can_be_told_by_hand_that_there_are_fewer(
    engine: PulumiStack, tmp_path: Path
) -> None:
    """As docs/operations.md says, once the members are out of etcd."""
    document = json.loads(exported(engine))
    for resource in document["deployment"]["resources"]:
        if resource["type"].endswith(":NodeCount"):
            resource["inputs"]["nodes"] = resource["outputs"]["nodes"] = 1
    file = tmp_path / "state.json"
    file.write_text(json.dumps(document))
    imported = engine.run("stack", "import", "--file", str(file))
    assert imported.succeeded, imported.text
    engine.program(PROGRAM.format(nodes=1))

    fewer = engine.up()

    assert fewer.succeeded, fewer.text


def exported(engine: PulumiStack) -> str:
    return engine.run("stack", "export").text
