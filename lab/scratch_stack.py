"""A temporary stack of the lab, for tests and benchmarks.

Its config is a sample's with changes, in its own address space.
"""

from __future__ import annotations

import copy
import functools
import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from lab.commands import shell
from lab.machine import docker_daemon
from lab.machine.endpoints import find
from lab.pulumi import stack_config
from lab.pulumi.engine import Stack
from tools.progress import StepFailed

COMMAND_TIMEOUT = 120.0
"""Seconds for one command on a node."""

Config = dict[str, Any]
Change = Callable[[Config], None]


class ScratchStack:
    """One stack and its config file."""

    def __init__(self, name: str, *changes: Change, vnet: str, sample: str = "dev") -> None:
        """The stack's base config is the sample's with these changes."""
        self.name = name
        self.base: Config = yaml.safe_load(stack_config.path(sample).read_text())
        for change in (*changes, setting(vnetCidr=vnet)):
            change(self.base["config"])
        self._logins: dict[str | None, list[str]] = {}

    # config

    def configure(self, *changes: Change) -> None:
        """Write the base config with these changes."""
        config = copy.deepcopy(self.base)
        for change in changes:
            change(config["config"])
        stack_config.path(self.name).write_text(yaml.safe_dump(config, sort_keys=False))

    def remove_config(self) -> None:
        stack_config.path(self.name).unlink(missing_ok=True)

    # looking at it

    @property
    def engine(self) -> Stack:
        return Stack(self.name, find(docker_daemon.ensure()))

    @functools.cached_property
    def outputs(self) -> Mapping[str, Any]:
        """The stack's outputs, secrets in plain text."""
        return self.engine.outputs(show_secrets=True)

    @functools.cached_property
    def public_ip(self) -> str:
        return str(self.outputs["publicIp"])

    @property
    def nodes(self) -> list[str]:
        """The names of the running nodes."""
        return sorted(shell.nodes(self.name))

    def cluster(self) -> dict[str, Any]:
        """What `fleet-cluster status` says on a node that the load balancer picks."""
        found: dict[str, Any] = json.loads(self.node(None, shell.STATUS))
        return found

    def instances(self, service: str = "hello") -> list[dict[str, Any]]:
        """The instances of a service, as the cluster reports them."""
        services = {one["name"]: one["instances"] for one in self.cluster()["services"]}
        found: list[dict[str, Any]] = services[service]
        return found

    def forget(self) -> None:
        """Drop what was read from the stack: it may change now."""
        for name in ("outputs", "public_ip"):
            self.__dict__.pop(name, None)
        self._logins.clear()

    # a node's shell

    def node(self, name: str | None, command: str) -> str:
        """Run a command on a node, or (None) on one that the load balancer picks; return what it
        printed. Raises StepFailed."""
        done = self.try_node(name, command)
        if done.returncode != 0:
            raise StepFailed(
                f"Running `{command}` on {name or 'a node'}",
                why=f"it ended with {done.returncode}: {done.stdout}{done.stderr}".strip(),
                advice=f"Look inside: .venv/bin/python -m lab ssh --stack {self.name} {name or ''}",
            )
        return done.stdout

    def try_node(self, name: str | None, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.login(name), command], capture_output=True, text=True, timeout=COMMAND_TIMEOUT
        )

    def login(self, name: str | None) -> list[str]:
        """The ssh call that logs in to a node. Kept, because asking Pulumi takes a second."""
        if name not in self._logins:
            self._logins[name] = shell.ssh_command(self.name, name, [], self.outputs)
        return self._logins[name]


def setting(**values: object) -> Change:
    """A change of the stack's settings."""

    def change(config: Config) -> None:
        config.update({f"fleet:{name}": value for name, value in values.items()})

    return change


def service(name: str, **values: object) -> Change:
    """A change of a service's settings."""

    def change(config: Config) -> None:
        config["fleet:services"][name].update(values)

    return change


def hello(**values: object) -> Change:
    """A change of the settings of the service in the sample `dev`."""
    return service("hello", **values)
