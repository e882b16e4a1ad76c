"""The lab's commands, and the same stack driven by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.scratch_stack import hello
from tests.lab.stack import LabStack, eventually, succeeded


@dataclass(frozen=True, kw_only=True)
class SecondUp:
    said: str
    before: dict[str, tuple[str, str]]
    after: dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def second_up(stack: LabStack) -> SecondUp:
    """What an `up` says and does when nothing has changed."""
    before = stack.starts("hello")
    said = succeeded(stack.lab("up", stack.name))
    return SecondUp(said=said, before=before, after=stack.starts("hello"))


def test_a_second_up_changes_nothing(second_up: SecondUp) -> None:
    assert "unchanged" in second_up.said
    assert " created" not in second_up.said
    assert " updated" not in second_up.said
    assert "Previewing" not in second_up.said, "the program runs once"
    assert second_up.after == second_up.before


def test_up_ends_with_where_to_go_next(stack: LabStack, second_up: SecondUp) -> None:
    assert f"http://{stack.public_ip}/" in second_up.said
    for command in ("make status", "lab ssh", "lab logs", "make down"):
        assert command in second_up.said


def test_preview_expects_no_changes(stack: LabStack) -> None:
    succeeded(stack.pulumi("preview", "--expect-no-changes"))


def test_refresh_finds_no_drift(stack: LabStack) -> None:
    succeeded(stack.pulumi("refresh", "--yes", "--expect-no-changes"))
    succeeded(stack.pulumi("preview", "--expect-no-changes"))


def test_state_and_azure_hold_the_same_resources(stack: LabStack) -> None:
    assert stack.azure_ids() == stack.state_ids()


def test_status_shows_nodes_platform_and_services(stack: LabStack) -> None:
    said = succeeded(stack.lab("status", stack.name))

    for node in ("core-0", "core-1", "core-2"):
        [machine] = [line for line in said.splitlines() if line.startswith(node)]
        assert {"running", "current", "healthy", "listed"} <= set(machine.split())
    for instance in stack.instances():
        assert instance["address"] in said
    assert f"http://{stack.public_ip}/" in said
    assert "example-app:1.0.0" in said
    assert "router-" in said
    assert "registry-" in said


def test_ssh_runs_a_command_on_the_node_named(stack: LabStack) -> None:
    done = stack.lab("ssh", "--stack", stack.name, "core-1", "--", "cat", "/run/node.env")

    assert "NODE_NAME=core-1" in succeeded(done)


def test_ssh_ends_as_the_command_does(stack: LabStack) -> None:
    assert stack.lab("ssh", "--stack", stack.name, "core-1", "--", "exit 7").returncode == 7


def test_logs_come_from_every_instance(stack: LabStack) -> None:
    said = succeeded(stack.lab("logs", "--stack", stack.name, "hello"))

    for n in ("1", "2"):
        assert f"serving on port 8080 as {n}" in said


def test_logs_of_the_router_are_its_requests(stack: LabStack) -> None:
    stack.get("/json?seen-by=router")

    def said() -> str:
        return succeeded(stack.lab("logs", "--stack", stack.name, "router"))

    eventually(lambda: "?seen-by=router" in said(), "it is in a router's log")


def test_plain_pulumi_up_rolls_a_changed_setting_out(stack: LabStack) -> None:
    old = stack.served_by()["release"]

    with stack.changed(hello(env={"GREETING": 'a "b" 50% $HOME'})):
        succeeded(stack.pulumi("up", "--yes"))
        new = {stack.served_by()["release"] for _ in range(10)}
        instance = stack.instances()[0]
        container = f"hello-{instance['release']}-{instance['n']}"
        environment = stack.node(instance["machine"], f"docker exec {container} env")

    assert len(new) == 1
    assert old not in new
    assert 'GREETING=a "b" 50% $HOME' in environment.splitlines()
