"""What every measurement gets: the running stack, and the baselines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from bench.baselines import Baselines
from bench.running import Run, run
from lab.commands import shell
from lab.machine.endpoints import were_started
from lab.pulumi.backend import stacks_left
from lab.scratch_stack import ScratchStack
from tools.progress import StepFailed, step

STACK = "labbench"
VNET = "10.78.0.0/16"


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of the benchmarks."""

    stack: ScratchStack
    client: docker.DockerClient
    baselines: Baselines
    folder: Path
    """For logs and results."""

    def make(self, target: str, log: str) -> Run:
        """`make` on our stack, as a user types it."""
        self.stack.forget()
        return make(target, self.folder / f"{log}.log")

    def address(self, node: str) -> str:
        """A node's private address, which this machine reaches over the lab's bridge."""
        return shell.nodes(self.stack.name)[node]


def make(target: str, log: Path) -> Run:
    return run(["make", target, f"STACK={STACK}"], log=log)


@contextmanager
def own_stack(folder: Path) -> Iterator[ScratchStack]:
    """The stack's config, before the stack is up. At the end both are removed in any case."""
    stack = ScratchStack(STACK, vnet=VNET)
    stack.configure()
    _clean_up(folder)  # after a run that was killed
    try:
        yield stack
    finally:
        _clean_up(folder)
        stack.remove_config()


def _clean_up(folder: Path) -> None:
    """Take down the stack and the lab, if they are up."""
    if STACK in stacks_left() or were_started():
        with step("taking down the stack"):
            make("down", folder / "clean-up.log")


def refuse_company() -> None:
    """Raises StepFailed if the lab is in use: `make up` from nothing starts without one."""
    others = [name for name in stacks_left() if name != STACK]
    if others:
        raise StepFailed(
            "Measuring",
            why=f"the lab is up with {', '.join(others)}",
            advice=f"Take it down first: make down STACK={others[0]}",
        )
