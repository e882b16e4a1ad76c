"""A stack in the lab as a test's hands: change its config, run pulumi, ask it over HTTP."""

from __future__ import annotations

import copy
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab import access, containers, docker_daemon
from lab.endpoints import find
from lab.engine import Stack
from tools.paths import PROJECT

PATIENCE = 300.0
"""Seconds after which something that should come true is taken for broken."""

Config = dict[str, Any]


@dataclass
class Answers:
    """What a steady stream of requests met."""

    served_by: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class LabStack:
    """One stack and its config file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.config_path = PROJECT / f"Pulumi.{name}.yaml"
        self._base: Config = {}

    # config

    def base_config(self) -> Config:
        """The sample stack's config, in an address space of its own."""
        config: Config = yaml.safe_load((PROJECT / "Pulumi.dev.yaml").read_text())
        config["config"]["fleet:vnetCidr"] = "10.77.0.0/16"
        config["config"]["fleet:subnetCidr"] = "10.77.1.0/24"
        config["config"].pop("fleet:dnsLabel", None)
        return config

    def write_config(self, config: Config) -> None:
        self.config_path.write_text(yaml.safe_dump(config, sort_keys=False))
        if not self._base:
            self._base = copy.deepcopy(config)

    @contextmanager
    def changed(self, change: Callable[[Config], None]) -> Iterator[None]:
        """The config with a change, for the length of a block."""
        config = copy.deepcopy(self._base)
        change(config["config"])
        self.write_config(config)
        try:
            yield
        finally:
            self.write_config(self._base)

    def settle(self) -> None:
        """Bring the stack back to its base config, unless it is there."""
        self.write_config(self._base)
        if self.pulumi("preview", "--expect-no-changes").returncode != 0:
            self.up()

    # running it

    def up(self) -> str:
        """`python -m lab up`; raises AssertionError with everything it printed."""
        return self._lab("up", self.name)

    def down(self) -> str:
        return self._lab("down", self.name)

    def lab(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the lab, as a user would type it."""
        return subprocess.run(
            [sys.executable, "-m", "lab", *arguments],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run pulumi itself on the stack."""
        return self.lab("exec", "--", "pulumi", *arguments, "--stack", self.name, "--non-interactive")

    def _lab(self, *arguments: str) -> str:
        done = self.lab(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    # looking at it

    @property
    def engine(self) -> Stack:
        return Stack(self.name, find(docker_daemon.ensure()))

    @property
    def public_ip(self) -> str:
        return str(self.engine.outputs()["publicIp"])

    def node(self, name: str, *command: str) -> str:
        """Run a command on a node and return what it printed."""
        done = subprocess.run(
            access.ssh_command(self.name, name, command), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def etcd(self, key: str) -> dict[str, Any]:
        """A key or directory of the cluster's etcd, as its v2 API answers."""
        url = f"http://127.0.0.1:2379/v2/keys{key}?recursive=true&quorum=true"
        found: dict[str, Any] = json.loads(self.node("core-0", f"curl -sS '{url}'"))
        return found

    def cluster(self) -> dict[str, Any]:
        """What `fleet-cluster status` says."""
        return access.ask_cluster(self.name)

    def get(self, path: str = "/", **headers: str) -> tuple[int, str]:
        """One request through the public address: status and body."""
        connection = http.client.HTTPConnection(self.public_ip, 80, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    @contextmanager
    def steady_requests(self, path: str = "/json") -> Iterator[Answers]:
        """Requests one after the other, ten a second, for the length of a block."""
        answers, stop = Answers(), threading.Event()
        host = self.public_ip
        worker = threading.Thread(target=_ask, args=(host, path, answers, stop))
        worker.start()
        try:
            yield answers
        finally:
            stop.set()
            worker.join()


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until something comes true. Raises AssertionError after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.5)


def lab_objects() -> list[str]:
    """Everything in Docker that carries the lab's label."""
    client = docker_daemon.ensure()
    label: dict[str, str | list[str] | bool] = {"label": containers.LABEL}
    return [
        *(str(one.name) for one in client.containers.list(all=True, filters=label)),
        *(str(one.name) for one in client.networks.list(filters=label)),
        *(str(one.name) for one in client.volumes.list(filters=label)),
    ]


def _ask(host: str, path: str, answers: Answers, stop: threading.Event) -> None:
    while not stop.wait(0.1):
        connection = http.client.HTTPConnection(host, 80, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status == 200:
                answers.served_by.append(json.loads(body)["instance"])
            else:
                answers.failures.append(f"{answer.status} {body[:80]}")
        except OSError as error:
            answers.failures.append(repr(error))
        finally:
            connection.close()
