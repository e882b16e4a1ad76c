"""Changes that fail or are killed: the cluster undoes them, and matches Pulumi's state."""

from __future__ import annotations

import signal

from lab.scratch_stack import Change, Config, hello
from tests.lab.stack import LabStack, eventually

TWO_MINUTES = 120.0


def test_a_failed_change_is_undone_while_a_node_is_away(
    stack: LabStack,
) -> None:
    """The release stays the same: only its route and its number were to change."""

    def named(*hosts: str, instances: int = 2) -> Change:
        http = {"port": 8080, "health": "/health", "hosts": list(hosts)}
        return hello(http=http, instances=instances)

    with stack.changed(named("old.example")):
        stack.up()
        used = {one["machine"] for one in stack.instances()}
        victim = next(node for node in stack.nodes if node not in used)

        stack.fault("kill", victim)
        stack.configure(named("old.example", "new.example", instances=3))
        said = stack.up_fails()

        assert "with the route from before" in said, said
        assert stack.get("/json", host="old.example").status == 200
        assert stack.get("/json", host="new.example").status == 404
        assert not stack.etcd("/v2/keys/rollouts")["node"].get("nodes")
        stack.fault("start", victim)


def test_a_removal_killed_during_its_drain_is_undone(stack: LabStack) -> None:
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
