"""How the announcer checks an instance, as the `health` of its service says."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend, Scripted, TcpEcho, serving
from tests.parts.router.harness import EtcdServer
from tests.parts.sidekick.announcer import API, FAST, HTTP, INSTANCE, Sidekick, port_of
from tests.parts.sidekick.fake_docker import FakeDocker

UDP = replace(API, http=None, udp=(64738,))


class Command:
    """A health command that does what a file says, and counts how often it ran."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.health = replace(
            FAST, kind="command", port=0, command=f"echo x >> {folder}/asked; . {folder}/answer"
        )
        self.answers("exit 0")

    def answers(self, script: str) -> None:
        staged = self._folder / "answer.new"
        staged.write_text(script)
        staged.rename(self._folder / "answer")

    @property
    def asked(self) -> int:
        log = self._folder / "asked"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def is_asked_again(self, times: int) -> None:
        goal = self.asked + times
        eventually(lambda: self.asked >= goal, what=f"{times} more checks")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def silence() -> Iterator[str]:
    """The port of a program that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


def test_health_port_is_checked_instead_of_the_public_one(
    sidekick: Sidekick, docker: FakeDocker
) -> None:
    control = TcpEcho("control")
    docker.runs({"64738/tcp": "1", "9000/tcp": str(control.server_address[1])})

    with serving(control):
        sidekick.start(replace(API, http=None, tcp=(64738,), health=replace(FAST, port=9000)))

        assert sidekick.is_announced()["tcp"] == {"64738": "127.0.0.1:1"}


def test_closed_health_port_is_named(sidekick: Sidekick, docker: FakeDocker) -> None:
    docker.runs({"64738/udp": "40002", "9000/tcp": "1"})

    sidekick.start(replace(UDP, health=replace(FAST, port=9000)))

    assert sidekick.has_failed()["reason"] == "nothing accepts connections on 127.0.0.1:1"


def test_port_that_is_not_published_is_named(sidekick: Sidekick, docker: FakeDocker) -> None:
    docker.runs({"64738/udp": "40002"})

    sidekick.start(replace(UDP, health=replace(FAST, port=9000)))

    assert sidekick.has_failed()["reason"] == "port 9000/tcp is not published"


def test_answer_that_does_not_come_in_time_is_a_failure(
    sidekick: Sidekick, docker: FakeDocker, silence: str
) -> None:
    docker.runs({"8080/tcp": silence})

    sidekick.start(replace(API, health=replace(HTTP, path="/", timeout=1)))

    reason = sidekick.has_failed()["reason"]
    assert reason == f"GET http://127.0.0.1:{silence}/ got no answer within 1 s"


def test_answer_that_comes_in_drops_is_a_failure(sidekick: Sidekick, docker: FakeDocker) -> None:
    """The time limit is one for the whole answer."""
    slow = Scripted(*(b"HTTP/1.1 200 OK\r\n"[n : n + 1] for n in range(17)), pause=0.3)
    with serving(slow):
        docker.runs({"8080/tcp": slow.address.rpartition(":")[2]})

        sidekick.start(replace(API, health=replace(HTTP, path="/", timeout=1)))

        assert sidekick.has_failed()["reason"].endswith("got no answer within 1 s")


def test_answer_that_never_ends_counts_by_its_status(
    sidekick: Sidekick, docker: FakeDocker
) -> None:
    endless = Scripted(
        b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nx", b"y", pause=2
    )
    with serving(endless):
        docker.runs({"8080/tcp": endless.address.rpartition(":")[2]})

        sidekick.start(replace(API, health=replace(HTTP, path="/", timeout=3)))

        sidekick.is_announced()


def test_check_names_a_host_that_the_service_serves(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    """Frameworks that check `Host` answer 400 to hosts that they do not serve."""
    app.only_host = "shop.example"
    docker.runs({"8080/tcp": port_of(app)})

    sidekick.start(replace(API, health=replace(HTTP, path="/ok", host="shop.example")))

    sidekick.is_announced()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_path_that_redirects_counts_as_healthy(
    sidekick: Sidekick, docker: FakeDocker, app: Backend, status: int
) -> None:
    """Applications that want HTTPS answer a plain check with a redirect."""
    docker.runs({"8080/tcp": port_of(app)})

    sidekick.start(replace(API, health=replace(HTTP, path=f"/status={status}")))

    sidekick.is_announced()


@pytest.mark.parametrize("kind", ["command", "container"])
def test_check_that_docker_cannot_make_says_nothing_about_the_instance(
    etcd: EtcdServer, sidekick: Sidekick, docker: FakeDocker, command: Command, kind: str
) -> None:
    docker.health = "healthy"
    docker.runs({"64738/udp": "40002"})
    sidekick.start(replace(UDP, health=replace(command.health, kind=kind)))
    sidekick.is_announced()

    docker.stop()

    index = etcd.client.get(INSTANCE).node.modified_index
    time.sleep(3)  # more checks than may fail

    def renewed() -> bool:
        return etcd.client.get(INSTANCE).node.modified_index > index

    eventually(renewed, what="its key is renewed all the same")


def test_command_that_succeeds_announces_the_instance(
    sidekick: Sidekick, docker: FakeDocker, command: Command
) -> None:
    docker.runs({"64738/udp": "40002"})

    sidekick.start(replace(UDP, health=command.health))

    assert sidekick.is_announced()["udp"] == {"64738": "127.0.0.1:40002"}


def test_command_that_fails_is_reported_with_its_last_line(
    sidekick: Sidekick, docker: FakeDocker, command: Command
) -> None:
    command.answers("echo asking; echo 'database: \"refused\"' >&2; echo; exit 3")
    docker.runs({"64738/udp": "40002"})

    sidekick.start(replace(UDP, health=command.health))

    reason = sidekick.has_failed()["reason"]
    assert reason == 'the health command ended with exit status 3: database: "refused"'
    assert sidekick.announced() is None


def test_command_that_hangs_is_ended_inside_the_container(
    sidekick: Sidekick, docker: FakeDocker, command: Command, tmp_path: Path
) -> None:
    command.answers(f"echo $$ > {tmp_path}/pid; echo waiting; sleep 600 & wait")
    docker.runs({"64738/udp": "40002"})

    sidekick.start(replace(UDP, health=replace(command.health, timeout=1)))

    reason = sidekick.has_failed()["reason"]
    assert reason == "the health command took more than 1 s: waiting"
    first = (tmp_path / "pid").read_text().strip()
    command.answers("exit 0")
    sidekick.is_announced()
    last = (tmp_path / "pid").read_text().strip()
    for group in {first, last}:
        assert members_of(int(group)) == []


def members_of(group: int) -> list[int]:
    """The processes of a process group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it ended meanwhile
        if int(its_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


def test_failed_check_in_the_start_period_is_not_reported_and_a_passed_one_announces(
    sidekick: Sidekick, docker: FakeDocker, command: Command
) -> None:
    command.answers("exit 1")
    docker.runs({"64738/udp": "40002"})
    sidekick.start(replace(UDP, health=replace(command.health, start_period=600)))
    command.is_asked_again(5)
    assert sidekick.failure() is None

    command.answers("exit 0")

    sidekick.is_announced()


def test_instance_that_dies_in_its_start_period_is_reported(
    sidekick: Sidekick, docker: FakeDocker, command: Command
) -> None:
    command.answers("exit 1")
    docker.runs({"64738/udp": "40002"})
    sidekick.start(replace(UDP, health=replace(command.health, start_period=600)))
    command.is_asked_again(1)

    docker.dies(3)

    assert sidekick.has_failed()["reason"] == "container api-0badcafe-1 ended with exit code 3"


def test_instance_is_announced_after_enough_passed_checks_in_a_row(
    sidekick: Sidekick, docker: FakeDocker, command: Command
) -> None:
    docker.runs({"64738/udp": "40002"})

    sidekick.start(replace(UDP, health=replace(command.health, healthy_threshold=3)))

    sidekick.is_announced()
    assert command.asked >= 3


def test_successor_of_a_dead_container_has_to_prove_itself_again(
    sidekick: Sidekick, docker: FakeDocker, command: Command
) -> None:
    docker.runs({"64738/udp": "40002"})
    sidekick.start(replace(UDP, health=replace(command.health, unhealthy_threshold=20)))
    sidekick.is_announced()
    command.answers("exit 1")

    docker.dies(137)
    docker.is_replaced()
    docker.runs({"64738/udp": "40003"})

    sidekick.is_withdrawn()
    command.is_asked_again(3)
    assert sidekick.announced() is None
