"""`make up`: the whole way from nothing to a page that answers."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import yaml

from lab import containers, docker_daemon, images, readiness, recovery
from lab.endpoints import find
from lab.engine import Stack
from lab.paths import PROJECT
from tools import build
from tools.progress import StepFailed

SERVICES = "**fleet:index:Service**"
"""The URNs of all services: they need images, and images need the storage made before them."""

PLATFORM = "fleet-platform"
"""The last resource before the services."""


def up(stack_name: str) -> None:
    """Bring the stack up in the lab; safe to run again at any time."""
    client = docker_daemon.ensure()
    build.ensure_artefacts()
    endpoints = containers.start(client)
    stack = Stack(stack_name, endpoints)
    stack.unlock()
    stack.select()
    recovery.recover(stack, endpoints)
    wanted = service_images(stack_name)
    # an interrupted run may have made the platform and not come to the outputs
    if not stack.holds(PLATFORM) or not stack.outputs():
        _pulumi_up(stack, "--exclude", SERVICES)
    images.push_missing(client, stack.outputs()["dataAccount"], wanted)
    _pulumi_up(stack)
    readiness.await_machines(stack_name, endpoints)
    print(_hint(stack))


def preview(stack_name: str) -> int:
    """What `up` would change."""
    stack = Stack(stack_name, find(docker_daemon.find()))
    build.ensure_artefacts()
    stack.select()
    return stack.run("preview", "--diff")


def service_images(stack_name: str) -> list[str]:
    """Every image that the stack's services and their customers name.

    Only a reading aid for pushing: whether the config is right is the program's to say.
    """
    document = yaml.safe_load((PROJECT / f"Pulumi.{stack_name}.yaml").read_text()) or {}
    config = document.get("config") or {}
    services = config.get("fleet:services")
    found: list[str] = []
    for service in services.values() if isinstance(services, dict) else []:
        with contextlib.suppress(AttributeError):  # not a map: the program will refuse it
            found.append(service.get("image"))
            found += [one.get("image") for one in (service.get("customers") or {}).values()]
    return [image for image in found if isinstance(image, str)]


def _pulumi_up(stack: Stack, *arguments: str) -> None:
    # Dots that move are for terminals; a log keeps the lines that say something.
    quiet = [] if sys.stdout.isatty() else ["--suppress-progress"]
    code = stack.run("up", "--yes", *quiet, *arguments)
    if code != 0:
        raise StepFailed(
            "pulumi up",
            why=f"it ended with exit code {code}; its own words are above",
            advice="Mend what it says and run the same command again: it goes on where it stopped.",
        )


def _hint(stack: Stack) -> str:
    outputs: dict[str, Any] = stack.outputs()
    address = outputs["publicIp"]
    named = stack.name != "dev"
    make = f" STACK={stack.name}" if named else ""
    option = f" --stack {stack.name}" if named else ""
    lab = ".venv/bin/python -m lab"
    commands = {
        f"make status{make}": "machines, units, services, addresses",
        f"{lab} ssh{option} core-0": "a shell on a node",
        f"{lab} logs{option} SERVICE": "what a service prints",
        f"{lab} fault{option} kill core-0": "break a node and watch the cluster heal",
        f"make up{make}": f"after a change of Pulumi.{stack.name}.yaml",
        f"make down{make}": "stop it, and leave nothing behind",
    }
    width = max(map(len, commands))
    lines = [f"    {command:{width}}   {text}" for command, text in commands.items()]
    return "\n".join(
        [
            "",
            "The cluster is up. Your services answer on",
            "",
            f"    http://{address}/",
            "",
            *lines,
            "",
        ]
    )
