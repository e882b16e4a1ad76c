"""`make down`: destroy the stack; with the last stack the lab goes, too."""

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
    """Run `pulumi destroy`, then leave nothing behind if no other stack needs the lab.

    Works after any interruption: whatever of the lab still runs is brought up first, so that
    destroy can ask it, and everything that carries the lab's label is removed at the end.
    """
    if stack_name in stacks_left():
        client = docker_daemon.ensure()
        endpoints = containers.start(client)
        stack = Stack(stack_name, endpoints)
        recovery.recover(stack, endpoints)
        if stack.run("destroy", "--yes", "--skip-preview") != 0:
            raise StepFailed(
                "pulumi destroy",
                why="its own words are above",
                advice="Run the same command again; "
                "`python -m lab down --force` gives up on destroy and removes the lab as it is.",
            )
        registry.remove(client, stack_name)
        forget_keys(stack_name)
        sample_secrets.forget(stack_name)
        last_up.forget(stack_name)
        stack.remove()
    else:
        print(f"The stack {stack_name} is not up")
    if left := stacks_left():
        print(f"The lab runs on for: {', '.join(left)}")
    else:
        remove_lab()
        print(f"Nothing is left but what was built: {cache_root()} and Docker's images fleet/*")


def remove_lab() -> None:
    """Remove the lab as it is, without asking Pulumi: its containers, networks and volumes, the
    Docker daemon that it started, and its state.

    A daemon that died is started for that once more: only it clears away what it has left.
    """
    end_leftovers()
    if were_started() or docker_daemon.was_started():
        client = docker_daemon.ensure()
        with step("Removing the lab"):
            containers.wipe(client)
            push_images.forget_old(client)
            if docker_daemon.is_ours():  # what is in another one is not the lab's to judge
                client.images.prune()
    docker_daemon.stop()
    shutil.rmtree(state_root())
