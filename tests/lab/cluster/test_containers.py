"""Containers live on without docker, never get a port that another had, and log to the journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.stack import LabStack, eventually
from tools.paths import PROJECT

RUNNING = "docker ps --no-trunc --format '{{.ID}} {{.Names}}' | sort"


def test_a_restart_of_docker_ends_no_container_and_no_request(stack: LabStack) -> None:
    one = stack.instances()[0]
    before = stack.node(one["machine"], RUNNING)

    with stack.steady_requests() as answers:
        stack.node(one["machine"], "sudo systemctl restart docker")
        start = stack.node(one["machine"], "cat /run/node-life/docker").strip()
        eventually(lambda: announced(stack, one)["docker"] == start, "its key says so")

    assert answers.failures == []
    assert stack.node(one["machine"], RUNNING) == before
    assert stack.node(one["machine"], "systemctl list-units --failed --no-legend --plain") == ""


def test_a_container_that_crashes_gets_another_port(stack: LabStack) -> None:
    one = stack.instances()[0]
    before = announced(stack, one)["http"]

    stack.node(one["machine"], f"docker kill {container(one)}")
    eventually(lambda: announced(stack, one)["http"] != before, "it is announced anew")

    host, port = before.split(":")
    assert announced(stack, one)["http"] == f"{host}:{int(port) + 1}"


def test_a_container_does_not_outlive_the_script_that_watches_it(stack: LabStack) -> None:
    one = stack.instances()[0]
    look = f"docker ps --no-trunc --quiet --filter name={container(one)}"
    before = stack.node(one["machine"], look)

    stack.node(one["machine"], f"sudo systemctl kill --kill-whom=main --signal=KILL {unit(one)}")
    eventually(
        lambda: stack.node(one["machine"], look).strip() not in ("", before.strip()),
        "the unit runs in a new container",
    )

    assert before not in stack.node(one["machine"], RUNNING)


def test_logs_follow_the_app_its_sidekick_and_its_unit(stack: LabStack, tmp_path: Path) -> None:
    one = stack.instances()[0]

    with followed(stack, tmp_path / "log") as said:
        eventually(lambda: stack.get("/followed") and "GET /followed " in said(), "requests")
        stack.node(one["machine"], f"docker kill {container(one)}")
        for line in (
            f"{unit(one)}: Scheduled restart job",
            f"Started {unit(one)}",
            f"serving on port 8080 as {one['n']}",
            f"hello {one['release']}-{one['n']}: announced: ",
        ):
            eventually(lambda line=line: line in said(), line)  # type: ignore[misc]


def test_each_line_of_a_container_is_in_the_journal_once(stack: LabStack) -> None:
    one = stack.instances()[0]
    line = f"serving on port 8080 as {one['n']}"
    id_of = f"docker inspect --format '{{{{.Id}}}}' {container(one)}"
    identifier = stack.node(one["machine"], id_of).strip()

    everywhere = f"sudo journalctl --output=cat CONTAINER_ID_FULL={identifier}"
    of_the_unit = f"sudo journalctl --output=cat --unit={unit(one)} --grep='{line}'"

    assert stack.node(one["machine"], everywhere).count(line) == 1
    assert line in stack.node(one["machine"], of_the_unit)
    files = (
        "sudo find /var/lib/docker/containers -name '*-json.log' -o -name 'container-cached.log'"
    )
    assert identifier not in stack.node(one["machine"], files)


def test_a_noisy_container_costs_no_line(stack: LabStack) -> None:
    """With its default limit, the journal accepts two thirds of these lines, and then none of other
    containers."""
    one = stack.instances()[0]
    image = f"$(docker inspect --format '{{{{.Image}}}}' {container(one)})"
    options = "--log-driver journald --log-opt cache-disabled=true --entrypoint seq"

    stack.node(one["machine"], f"docker run --rm --name noisy {options} {image} 30000 >/dev/null")

    count = "sudo journalctl --output=cat CONTAINER_NAME=noisy | wc -l"
    eventually(lambda: stack.node(one["machine"], count).strip() == "30000", "all lines are there")


def announced(stack: LabStack, one: dict[str, Any]) -> dict[str, Any]:
    """The value of an instance's key."""
    key = f"/v2/keys/services/hello/instances/{one['release']}-{one['n']}"
    value: dict[str, Any] = json.loads(stack.etcd(key)["node"]["value"])
    return value


def container(one: dict[str, Any]) -> str:
    return f"hello-{one['release']}-{one['n']}"


def unit(one: dict[str, Any]) -> str:
    return f"hello-{one['release']}@{one['n']}.service"


@contextmanager
def followed(stack: LabStack, file: Path) -> Iterator[Callable[[], str]]:
    """What `lab logs hello -f` has said so far."""
    command = [sys.executable, "-m", "lab", "logs", "--stack", stack.name, "-f", "hello"]
    with (
        file.open("wb") as output,
        subprocess.Popen(command, cwd=PROJECT, stdout=output, start_new_session=True) as running,
    ):
        try:
            yield lambda: file.read_text(errors="replace")
        finally:
            # SIGINT is ignored where the tests run in the background
            os.killpg(running.pid, signal.SIGTERM)
            running.wait()
