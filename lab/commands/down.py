"""`make down`: destroy the stack; the last one also removes the lab."""

from __future__ import annotations

import shutil

from lab.commands.shell import forget_keys
from lab.machine import containers, docker_daemon, registry
from lab.machine.endpoints import were_started
from lab.machine.paths import cache_root, state_root
from lab.machine.processes import end_leftovers
from lab.pulumi import last_up, push_images, recovery, sample_secrets
from lab.pulumi.backend import stacks_left
from lab.pulumi.engine import Stack
from tools.progress import StepFailed, step


def down(stack_name: str) -> None:
    """Run `pulumi destroy`, then remove the lab if no other stack needs it.

    Works after any interruption. The lab is started first, because destroy needs it, and at the end
    everything with the lab's label is removed.
    """
    if stack_name in stacks_left():
        client = docker_daemon.ensure()
        endpoints = containers.start(client)
        stack = Stack(stack_name, endpoints)
        recovery.recover(stack, endpoints)
        if stack.run("destroy", "--yes", "--skip-preview") != 0:
            raise StepFailed(
                "pulumi destroy",
                why="its messages are above",
                advice="Run the same command again, or remove the whole lab without destroy: "
                "python -m lab down --force",
            )
        registry.remove(client, stack_name)
        forget_keys(stack_name)
        sample_secrets.forget(stack_name)
        last_up.forget(stack_name)
        stack.remove()
    else:
        print(f"The stack {stack_name} is not up.")
    if left := stacks_left():
        print(f"The lab still runs, for: {', '.join(left)}")
    else:
        remove_lab()
        print(f"The lab is removed. What was built stays: {cache_root()} and images fleet/*.")


def remove_lab() -> None:
    """Remove the lab without asking Pulumi: its containers, networks and volumes, the Docker daemon
    that it started, and its state.

    A daemon that died is started again for that: only it can remove what it left.
    """
    end_leftovers()
    if were_started() or docker_daemon.was_started():
        client = docker_daemon.ensure()
        with step("Removing the lab"):
            containers.wipe(client)
            push_images.forget_old(client)
            if docker_daemon.is_ours():  # another daemon's images belong to the user
                client.images.prune()
    docker_daemon.stop()
    shutil.rmtree(state_root())
