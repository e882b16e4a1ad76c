"""`make up`: from nothing to a page that answers."""

from __future__ import annotations

import sys

import docker

from lab.commands import readiness
from lab.commands.next_steps import hint
from lab.machine import containers, docker_daemon
from lab.machine.endpoints import Endpoints, find
from lab.pulumi import last_up, push_images, recovery, sample_secrets, stack_config
from lab.pulumi.engine import Stack
from tools import build
from tools.progress import StepFailed

SERVICES = "**fleet:index:Service**"
"""The URNs of all services. They need images, and images need storage, which is made first."""

PLATFORM = "fleet-platform"
"""The last resource before the services."""


def up(stack_name: str, *, skip_preview: bool = False) -> None:
    """Bring the stack up in the lab; safe to run again at any time.

    With `skip_preview` the program runs once, in half the time. Then what the preview would refuse
    fails during the update.
    """
    once = ["--skip-preview"] if skip_preview else []
    client, endpoints = prepare()
    stack = Stack(stack_name, endpoints)
    stack.unlock()
    stack.select()
    recovery.recover(stack, endpoints)
    wanted = stack_config.images(stack_config.read(stack_name))
    outputs = stack.outputs()
    # an interrupted run may have made the platform without writing outputs
    if not outputs or not stack.holds(PLATFORM):
        _pulumi_up(stack, "--exclude", SERVICES, *once)
        outputs = stack.outputs()
    push_images.push_missing(client, stack_name, outputs["dataAccount"], wanted)
    if last_up.is_repeated(stack):
        once = ["--skip-preview"]
    _pulumi_up(stack, *once)
    last_up.remember(stack)
    readiness.await_nodes(stack_name, endpoints)
    print(hint(stack_name, stack.outputs(), sample_secrets.certificates_file(stack_name)))


def prepare() -> tuple[docker.DockerClient, Endpoints]:
    """Start what all stacks share: Docker, the artefacts, the simulated Azure."""
    client = docker_daemon.ensure()
    build.ensure_artefacts()
    return client, containers.start(client)


def preview(stack_name: str) -> int:
    """Show what `up` would change."""
    stack = Stack(stack_name, find(docker_daemon.find()))
    build.ensure_artefacts()
    stack.select()
    return stack.run("preview", "--diff")


def _pulumi_up(stack: Stack, *arguments: str) -> None:
    # progress dots are for terminals, not for logs
    quiet = [] if sys.stdout.isatty() else ["--suppress-progress"]
    code = stack.run("up", "--yes", *quiet, *arguments)
    if code != 0:
        raise StepFailed(
            "pulumi up",
            why=f"it ended with exit code {code}; its messages are above",
            advice="Fix what the messages name and run the same command again: it continues.",
        )
