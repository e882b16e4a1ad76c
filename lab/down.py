"""`make down`: destroy the stack; with the last stack the lab goes, too."""

from __future__ import annotations

from lab import containers, docker_daemon, recovery, throwaway
from lab.access import forget_keys
from lab.endpoints import were_started
from lab.engine import Stack, forget_stacks, stacks_left
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
        stack.remove()
        forget_keys(stack_name)
        throwaway.forget(stack_name)
    if not stacks_left():
        remove_lab()


def force_down() -> None:
    """Remove the lab as it is, without asking Pulumi: for a lab that is beyond repair."""
    for stack_name in stacks_left():
        throwaway.forget(stack_name)
    forget_stacks()
    remove_lab()


def remove_lab() -> None:
    """Remove the lab's containers, networks and volumes, and the Docker daemon it started."""
    if were_started():
        client = docker_daemon.ensure()
        with step("Removing the lab"):
            containers.wipe(client)
    docker_daemon.stop()
