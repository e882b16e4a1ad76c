"""A request reaches an instance of the service it was meant for, or none: whatever dies.

Nine services with one instance each share three machines, so that each machine gives host ports to
several of them. All of them are asked for their own names all the time.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from lab.scratch_stack import Config
from tests.lab.stack import LabStack, eventually, get

SERVICES = tuple(f"s{n}" for n in range(1, 10))
OUTAGE = 30.0
"""Seconds without a quorum: longer than announcements live."""


@dataclass
class Asked:
    """The answers of the services when they were asked for their names."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def ask(self, address: str, service: str, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            try:
                answer = get(address, "/json", host=f"{service}.example", timeout=3)
            except (OSError, http.client.HTTPException):
                continue  # not answered is not wrong here
            if answer.status != 200:
                continue
            answered = json.loads(answer.body)["service"]
            if answered == service:
                self.right[service] += 1
            else:
                self.wrong.append(f"{time.strftime('%X')} {service} was answered by {answered}")


@pytest.fixture(scope="module")
def nine(stack: LabStack) -> Iterator[LabStack]:
    """The stack with nine more services."""

    def add(config: Config) -> None:
        for name in SERVICES:
            config["fleet:services"][name] = {
                "image": "example-app:1.0.0",
                "http": {"port": 8080, "health": "/health", "hosts": [f"{name}.example"]},
            }

    with stack.changed(add):
        stack.up()
        yield stack


@contextmanager
def all_asked(stack: LabStack) -> Iterator[Asked]:
    """Every service asked all the time for the length of a block, and until each answers again."""
    asked, stop = Asked(), threading.Event()
    threads = [
        threading.Thread(target=asked.ask, args=(stack.public_ip, service, stop))
        for service in SERVICES
    ]
    for thread in threads:
        thread.start()
    try:
        yield asked
        asked.right.clear()
        eventually(lambda: len(asked.right) == len(SERVICES), "every service answers again")
        time.sleep(1)  # the last one has just begun to answer
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_two_of_three_nodes_die_and_return(nine: LabStack) -> None:
    with all_asked(nine) as asked:
        for victim in ("core-1", "core-2"):
            nine.fault("kill", victim)
        time.sleep(OUTAGE)
        for victim in ("core-1", "core-2"):
            nine.fault("start", victim)
        eventually(lambda: all_announced(nine), "all instances are announced again")

    assert asked.wrong == []


def test_the_leader_of_etcd_restarts(nine: LabStack) -> None:
    leader = etcd_leader(nine)

    with all_asked(nine) as asked:
        nine.fault("kill", leader)
        nine.fault("start", leader)
        eventually(lambda: leader in nine.nodes and all_announced(nine), "all are announced again")

    assert asked.wrong == []


def test_docker_restarts_on_a_node(nine: LabStack) -> None:
    with all_asked(nine) as asked:
        nine.node("core-0", "sudo systemctl restart docker")
        eventually(lambda: all_announced(nine), "all instances are announced again")

    assert asked.wrong == []


def test_instances_crash_while_others_start(nine: LabStack) -> None:
    """Two instances on the same node: each may get the port that the other one had."""
    machines = {one: nine.instances(one)[0]["machine"] for one in SERVICES}
    [(crowded, _)] = Counter(machines.values()).most_common(1)
    victims = [service for service in SERVICES if machines[service] == crowded]

    find = "docker ps --quiet --filter label=fleet.service="
    kill = f"for one in {' '.join(victims)}; do {find}$one; done | xargs docker kill"
    with all_asked(nine) as asked:
        for _ in range(3):
            nine.node(crowded, kill)
            eventually(lambda: all_announced(nine), "all instances are announced again")

    assert asked.wrong == []


def all_announced(stack: LabStack) -> bool:
    services = {one["name"]: one["instances"] for one in stack.cluster()["services"]}
    return all(
        [one["announced"] for one in services.get(service, [])] == [True] for service in SERVICES
    )


def etcd_leader(stack: LabStack) -> str:
    """The node whose member of etcd leads."""
    for node in stack.nodes:
        said = stack.node(node, "curl -fsS http://127.0.0.1:2379/v2/stats/self")
        if json.loads(said)["state"] == "StateLeader":
            return node
    raise AssertionError("etcd has no leader")
