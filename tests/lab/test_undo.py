"""Changes that fail or are killed half-way: the cluster goes back, and Pulumi's state is right."""

from __future__ import annotations

import signal

from lab.scratch_stack import Config, hello
from tests.lab.stack import LabStack, eventually, failed

TWO_MINUTES = 120.0


def test_new_hosts_and_more_instances_are_taken_back_while_a_machine_is_away(
    stack: LabStack,
) -> None:
    """The default site, which the new hosts would end, goes on answering."""
    old = stack.served_by()["release"]
    used = {one["machine"] for one in stack.instances()}
    victim = next(node for node in stack.nodes if node not in used)
    both = hello(instances=3, http={"port": 8080, "health": "/health", "hosts": ["new.example"]})

    stack.fault("kill", victim)
    stack.configure(both)
    said = failed(stack.lab("up", stack.name))
    stack.configure()

    assert "with the route from before" in said
    assert stack.served_by()["release"] == old
    assert stack.get(host="new.example").status == 200, "by the default site"
    assert stack.etcd("/v2/keys/rollouts")["node"].get("nodes", []) == []
    stack.fault("start", victim)
    stack.up()


def test_a_removal_that_is_killed_while_it_drains_is_taken_back(stack: LabStack) -> None:
    def without(config: Config) -> None:
        del config["fleet:services"]["hello"]

    with stack.changed(hello(instances=1)):
        stack.up()
        old = stack.served_by()["release"]

        stack.configure(without)
        stack.interrupt("up", "draining", signal.SIGKILL)

        eventually(
            lambda: stack.served_by()["release"] == old, "it serves again", patience=TWO_MINUTES
        )
        eventually(
            lambda: not stack.etcd("/v2/keys/rollouts")["node"].get("nodes"),
            "the cluster is done with it",
            patience=TWO_MINUTES,
        )
    assert len(stack.instances()) == 2
