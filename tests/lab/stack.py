"""A stack in the lab as a test's hands: change its config, run pulumi, ask it over HTTP and SSH."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from lab.machine import docker_daemon
from lab.machine.endpoints import call, find
from lab.scratch_stack import Change, ScratchStack, setting
from tests import eventually as waiting
from tests.lab.leftovers import STACK_MARK
from tools.paths import PROJECT

eventually = partial(waiting.eventually, patience=300.0, every=0.5)
"""Long, because fleet takes its time to declare a node dead."""
RUN_TIMEOUT = 1800.0
"""Seconds for one run of a command of the lab."""
DRAIN = 2
"""Seconds that an instance runs on after it was taken out of routing: the page answers at once."""


class LabStack(ScratchStack):
    """A scratch stack that tests run, interrupt and look at."""

    def __init__(self, name: str, *changes: Change, vnet: str, sample: str = "dev") -> None:
        super().__init__(name, setting(drainSeconds=DRAIN), *changes, vnet=vnet, sample=sample)
        self.trusted: list[str] = []
        """Certificates as PEM, besides those that the lab makes up."""

    # config

    @contextmanager
    def changed(self, *changes: Change) -> Iterator[None]:
        """The config with changes for a block; afterwards `up` with the original config."""
        self.configure(*changes)
        try:
            yield
        finally:
            self.configure()
            self.up()

    @contextmanager
    def refused(self, *changes: Change) -> Iterator[None]:
        """As `changed`, where nothing comes of the changes: nothing has to be put right."""
        self.configure(*changes)
        try:
            yield
        finally:
            self.configure()

    # running it

    def up(self) -> str:
        """`python -m lab up`; fails with everything it printed."""
        self.forget()
        return succeeded(self.lab("up", "--skip-preview", self.name))

    def up_fails(self) -> str:
        """The same where it has to fail; what it printed."""
        return failed(self.lab("up", "--skip-preview", self.name))

    def down(self) -> str:
        self.forget()
        return succeeded(self.lab("down", self.name))

    def lab(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the lab, as a user would type it."""
        return subprocess.run(
            [sys.executable, "-m", "lab", *arguments],
            cwd=PROJECT,
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT,
        )

    def _environment(self) -> dict[str, str]:
        return {**os.environ, STACK_MARK: self.name}

    def pulumi(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run pulumi itself on the stack."""
        return self.lab(
            "exec",
            "--",
            *("pulumi", *arguments, "--stack", self.name, "--non-interactive"),
            stdin=stdin,
        )

    def set_secret(self, name: str, value: str) -> None:
        """As a user does it: encrypted, into the stack's file."""
        path = f"fleet:secrets.{name}"
        succeeded(self.pulumi("config", "set", "--secret", "--path", path, stdin=value))

    def fault(self, kind: str, node: str) -> None:
        succeeded(self.lab("fault", "--stack", self.name, kind, node))

    def interrupt(
        self, command: str, moment: str, number: signal.Signals, *, times: int = 1
    ) -> str:
        """Run `lab up` or `lab down` and signal its whole process group, as a terminal does, as
        soon as it prints `moment`. Returns what it printed; fails if it ended before."""
        self.forget()
        options = ["--skip-preview"] if command == "up" else []
        running = subprocess.Popen(
            [sys.executable, "-m", "lab", command, *options, self.name],
            cwd=PROJECT,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert running.stdout is not None
        watchdog = threading.Timer(RUN_TIMEOUT, os.killpg, (running.pid, signal.SIGKILL))
        watchdog.start()
        printed, signalled = "", False
        try:
            for line in running.stdout:
                printed += line
                if moment in line and not signalled:
                    os.killpg(running.pid, number)
                    for _ in range(times - 1):
                        time.sleep(1)
                        os.killpg(running.pid, number)
                    signalled = True
            code = running.wait()
        finally:
            watchdog.cancel()
        assert signalled, f"it never said {moment!r}:\n{printed}"
        assert code != 0, f"{number.name} at {moment!r} came too late:\n{printed}"
        return printed

    # looking at it

    def etcd(self, path: str) -> dict[str, Any]:
        """What etcd's v2 API answers for a path such as /v2/members."""
        answer = self.node(self.nodes[0], f"curl -fsS 'http://127.0.0.1:2379{path}'")
        found: dict[str, Any] = json.loads(answer)
        return found

    def starts(self, *services: str) -> dict[str, tuple[str, str]]:
        """Every running unit of these services: name → machine and time of its start."""
        found = {}
        units = " ".join(f"'{service}-*'" for service in services)
        show = f"systemctl show {units} --property=Id,ActiveState,ActiveEnterTimestampMonotonic"
        for node in self.nodes:
            for block in self.node(node, show).split("\n\n"):
                unit = dict(line.split("=", 1) for line in block.splitlines() if line)
                if unit.get("ActiveState") == "active":
                    found[unit["Id"]] = (node, unit["ActiveEnterTimestampMonotonic"])
        return found

    def azure_ids(self) -> set[str]:
        """The ids of all resources that the simulated Azure has of this stack."""
        listed = call(find(docker_daemon.ensure()), "GET", "/resources")
        assert isinstance(listed, list)
        group = f"/resourcegroups/fleet-{self.name}"
        ids = {str(one["id"]).lower() for one in listed}
        return {one for one in ids if f"{one}/".partition(group)[2].startswith("/")}

    def state_ids(self) -> set[str]:
        """The ids of all Azure resources that Pulumi's state has."""
        return {
            str(resource["id"]).lower()
            for resource in self.engine.state().get("resources", [])
            if resource["type"].startswith("azure-native:") and "id" in resource
        }

    def get(self, path: str = "/", **options: Any) -> Answer:
        return get(self.public_ip, path, **options)

    def served_by(self) -> dict[str, str]:
        """Who answers: instance, node, release, host (the container)."""
        answer = self.get("/json")
        assert answer.status == 200, answer
        found: dict[str, str] = json.loads(answer.body)
        return found

    @contextmanager
    def steady_requests(self) -> Iterator[Answers]:
        """Requests one after the other, ten a second, for the length of a block."""
        answers, stop = Answers(), threading.Event()
        worker = threading.Thread(target=answers.collect, args=(self.public_ip, stop))
        worker.start()
        try:
            yield answers
        finally:
            stop.set()
            worker.join()


@contextmanager
def kept_up(stack: LabStack, request: pytest.FixtureRequest) -> Iterator[LabStack]:
    """The stack, up for the length of a block; with `--keep` also after it."""
    stack.configure()
    try:
        stack.up()
        yield stack
    finally:
        if not request.config.getoption("--keep"):
            stack.down()
            stack.remove_config()


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class Answers:
    """The results of a steady stream of requests."""

    served_by: list[dict[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def collect(self, address: str, stop: threading.Event) -> None:
        while not stop.wait(0.1):
            began = time.strftime("%H:%M:%S")
            try:
                answer = get(address, "/json", timeout=10)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{began} {error!r}")
                continue
            if answer.status == 200:
                self.served_by.append(json.loads(answer.body))
            else:
                self.failures.append(f"{began} {answer.status} {answer.body[:80]}")


def get(
    address: str,
    path: str,
    *,
    method: str = "GET",
    host: str | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 30,
) -> Answer:
    """One request on a new connection. With `tls`, `host` is who the server must be."""
    connection = http.client.HTTPConnection(address, 443 if tls else 80, timeout=timeout)
    try:
        connection.connect()
        if tls:
            connection.sock = tls.wrap_socket(connection.sock, server_hostname=host or address)
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(status=answer.status, headers=headers, body=answer.read().decode())
    finally:
        connection.close()


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed; AssertionError with it if the command failed."""
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n" + printed(done)
    return done.stdout


def failed(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed; AssertionError with it if the command succeeded."""
    assert done.returncode != 0, f"{done.args} should have failed:\n" + printed(done)
    return printed(done)


def printed(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr
