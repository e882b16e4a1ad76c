"""The port of a stack's registry: a push must reach the stack that is meant."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from lab.machine import registry
from lab.machine.registry import DEFAULT_PORT, OTHER_PORTS, choose_port


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Ports where another program listens."""
    ports: set[int] = set()
    monkeypatch.setattr(registry, "_is_free", lambda port: port not in ports)
    return ports


@pytest.mark.usefixtures("busy")
def test_only_dev_gets_the_default_port() -> None:
    assert choose_port("dev", set()) == DEFAULT_PORT
    assert choose_port("toktv", set()) in OTHER_PORTS


@pytest.mark.usefixtures("busy")
def test_a_stack_gets_the_same_port_each_time() -> None:
    assert choose_port("toktv", set()) == choose_port("toktv", {choose_port("docebo", set())})


def test_a_taken_port_is_skipped(busy: set[int]) -> None:
    first = choose_port("toktv", set())
    busy.update({DEFAULT_PORT, first})

    assert choose_port("toktv", {first + 1}) == first + 2
    assert choose_port("dev", set()) in OTHER_PORTS


def test_other_stacks_never_get_the_port_of_dev(busy: set[int]) -> None:
    busy.update(OTHER_PORTS)
    busy.remove(OTHER_PORTS[0])

    assert choose_port("toktv", set()) == OTHER_PORTS[0]


def test_a_listening_port_is_detected(listener: int) -> None:
    assert not registry._is_free(listener)


def test_a_registry_keeps_its_port(busy: set[int]) -> None:
    """Its own listener is there, and the stack with the same first choice came later."""
    docker = FakeDocker(registries={"dev": 5000, "toktv": 5777})
    busy.update({5000, 5777})

    assert registry._port(docker, "toktv") == 5777  # type: ignore[arg-type]
    assert registry._port(docker, "dev") == 5000  # type: ignore[arg-type]


@pytest.fixture
def listener() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


@dataclass
class FakeContainer:
    labels: dict[str, str]


@dataclass
class FakeDocker:
    registries: dict[str, int] = field(default_factory=dict)

    @property
    def containers(self) -> FakeDocker:
        return self

    def list(self, **_filters: object) -> list[FakeContainer]:
        return [
            FakeContainer({registry._STACK: stack, registry._PORT: str(port)})
            for stack, port in self.registries.items()
        ]
