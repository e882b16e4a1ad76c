"""How a sidekick checks its instance, as the service's `health` says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend, TcpEcho, serving
from tests.parts.router.harness import EtcdServer
from tests.parts.sidekick.sidekick import INSTANCE, Container, Sidekick, port_of


class Command:
    """A health command that does what a file says, and counts how often it was asked."""

    def __init__(self, folder: Path) -> None:
        self.line = f"echo x >> {folder}/asked; . {folder}/answer"
        self._folder = folder
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
    """The port of a program that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


def test_health_port_is_checked_instead_of_the_public_one(
    sidekick: Sidekick, container: Container
) -> None:
    control = TcpEcho("control")
    container.runs({"64738/tcp": "1", "9000/tcp": str(control.server_address[1])})

    with serving(control):
        sidekick.start(TCP_PORTS="64738", HEALTH_KIND="tcp", HEALTH_PORT="9000")

        value = eventually(sidekick.announced, what="the instance is announced")

    assert value["tcp"] == {"64738": "127.0.0.1:1"}


def test_closed_health_port_is_named(sidekick: Sidekick, container: Container) -> None:
    container.runs({"64738/udp": "40002", "9000/tcp": "1"})

    sidekick.start(UDP_PORTS="64738", HEALTH_KIND="tcp", HEALTH_PORT="9000")

    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"] == "nothing accepts connections on 127.0.0.1:1"


def test_answer_that_does_not_come_in_time_is_a_failure(
    sidekick: Sidekick, container: Container, silence: str
) -> None:
    container.runs({"8080/tcp": silence})

    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="http", HEALTH_PATH="/", HEALTH_TIMEOUT="1")

    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"] == f"GET http://127.0.0.1:{silence}/ got no answer within 1 s"


def test_check_names_a_host_that_the_service_serves(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    """Frameworks that check `Host` answer 400 to what they don't know."""
    app.only_host = "shop.example"
    container.runs({"8080/tcp": port_of(app)})

    sidekick.start(
        HTTP_PORT="8080", HEALTH_KIND="http", HEALTH_PATH="/ok", HEALTH_HOST="shop.example"
    )

    eventually(sidekick.announced, what="the instance is announced")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_path_that_redirects_counts_as_healthy(
    sidekick: Sidekick, container: Container, app: Backend, status: int
) -> None:
    """Applications that want HTTPS answer a plain check so."""
    container.runs({"8080/tcp": port_of(app)})

    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="http", HEALTH_PATH=f"/status={status}")

    eventually(sidekick.announced, what="the instance is announced")


@pytest.mark.parametrize("kind", ["command", "container"])
def test_check_that_docker_cannot_make_says_nothing_of_the_instance(
    etcd: EtcdServer, sidekick: Sidekick, container: Container, command: Command, kind: str
) -> None:
    container.health("healthy")
    container.runs({"64738/udp": "40002"})
    sidekick.start(UDP_PORTS="64738", HEALTH_KIND=kind, HEALTH_COMMAND=command.line)
    eventually(sidekick.announced, what="the instance is announced")

    container.docker_is_away()

    index = etcd.client.get(INSTANCE).node.modified_index

    def renewed_often() -> bool:
        """More often than checks may fail."""
        return etcd.client.get(INSTANCE).node.modified_index >= index + 4

    eventually(renewed_often, what="its key is renewed all the same")


def test_command_that_succeeds_announces_the_instance(
    sidekick: Sidekick, container: Container, command: Command
) -> None:
    container.runs({"64738/udp": "40002"})

    sidekick.start(UDP_PORTS="64738", HEALTH_KIND="command", HEALTH_COMMAND=command.line)

    value = eventually(sidekick.announced, what="the instance is announced")
    assert value["udp"] == {"64738": "127.0.0.1:40002"}


def test_command_that_fails_is_reported_with_its_last_line(
    sidekick: Sidekick, container: Container, command: Command
) -> None:
    command.answers("echo asking; echo 'database: \"refused\"' >&2; echo; exit 3")
    container.runs({"64738/udp": "40002"})

    sidekick.start(UDP_PORTS="64738", HEALTH_KIND="command", HEALTH_COMMAND=command.line)

    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"] == ('the health command ended with exit status 3: database: "refused"')
    assert sidekick.announced() is None


def test_command_that_hangs_is_ended_inside_the_container(
    sidekick: Sidekick, container: Container, command: Command, tmp_path: Path
) -> None:
    command.answers(f"echo $$ > {tmp_path}/pid; echo waiting; sleep 600 & wait")
    container.runs({"64738/udp": "40002"})

    sidekick.start(
        UDP_PORTS="64738",
        HEALTH_KIND="command",
        HEALTH_COMMAND=command.line,
        HEALTH_TIMEOUT="1",
    )

    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"] == "the health command took more than 1 s: waiting"
    first = (tmp_path / "pid").read_text().strip()
    command.answers("exit 0")
    eventually(sidekick.announced, what="the instance is announced")
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


def test_exit_status_of_a_time_limit_may_be_the_commands_own(
    sidekick: Sidekick, container: Container, command: Command
) -> None:
    command.answers("exit 124")
    container.runs({"64738/udp": "40002"})

    sidekick.start(UDP_PORTS="64738", HEALTH_KIND="command", HEALTH_COMMAND=command.line)

    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"] == "the health command ended with exit status 124"


def test_failed_check_in_the_start_period_is_not_reported_and_a_passed_one_announces(
    sidekick: Sidekick, container: Container, command: Command
) -> None:
    command.answers("exit 1")
    container.runs({"64738/udp": "40002"})
    sidekick.start(
        UDP_PORTS="64738",
        HEALTH_KIND="command",
        HEALTH_COMMAND=command.line,
        HEALTH_START_PERIOD="600",
    )
    command.is_asked_again(6)  # longer than the failures of an instance without one are held back
    assert sidekick.failure() is None

    command.answers("exit 0")

    eventually(sidekick.announced, what="the instance is announced")


def test_instance_that_dies_in_its_start_period_is_reported(
    sidekick: Sidekick, container: Container, command: Command
) -> None:
    command.answers("exit 1")
    container.runs({"64738/udp": "40002"})
    sidekick.start(
        UDP_PORTS="64738",
        HEALTH_KIND="command",
        HEALTH_COMMAND=command.line,
        HEALTH_START_PERIOD="600",
    )
    command.is_asked_again(1)

    container.dies(3)

    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"] == "container api-1 ended with exit code 3"


def test_instance_is_announced_after_so_many_passed_checks_in_a_row(
    sidekick: Sidekick, container: Container, command: Command
) -> None:
    container.runs({"64738/udp": "40002"})

    sidekick.start(
        UDP_PORTS="64738",
        HEALTH_KIND="command",
        HEALTH_COMMAND=command.line,
        HEALTHY_THRESHOLD="3",
    )

    eventually(sidekick.announced, what="the instance is announced")
    assert command.asked >= 3


def test_failed_check_in_between_starts_the_count_anew(
    sidekick: Sidekick, container: Container, command: Command, tmp_path: Path
) -> None:
    command.answers(f"test $(($(wc -l < {tmp_path}/asked) % 2)) = 0")  # every other one passes
    container.runs({"64738/udp": "40002"})

    sidekick.start(
        UDP_PORTS="64738",
        HEALTH_KIND="command",
        HEALTH_COMMAND=command.line,
        HEALTHY_THRESHOLD="2",
    )

    command.is_asked_again(8)
    assert sidekick.announced() is None


def test_instance_keeps_its_key_until_enough_checks_have_failed(
    etcd: EtcdServer, sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(
        HTTP_PORT="8080",
        HEALTH_KIND="http",
        HEALTH_PATH="/fail-here",
        HEALTH_INTERVAL="1",
        UNHEALTHY_THRESHOLD="5",
    )
    eventually(sidekick.announced, what="the instance is announced")
    app.fail_here = 503
    asked = len(app.requests)

    eventually(lambda: len(app.requests) >= asked + 2, what="two checks have failed")
    index = etcd.client.get(INSTANCE).node.modified_index
    eventually(lambda: len(app.requests) >= asked + 4, what="four checks have failed")

    # not only still there, but renewed: five failures may take longer than it lives
    assert etcd.client.get(INSTANCE).node.modified_index > index
    eventually(lambda: sidekick.announced() is None, what="the announcement is gone")
    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"].endswith("answered 503")


def test_successor_of_a_dead_container_has_to_prove_itself_anew(
    sidekick: Sidekick, container: Container, command: Command
) -> None:
    container.runs({"64738/udp": "40002"})
    sidekick.start(
        UDP_PORTS="64738",
        HEALTH_KIND="command",
        HEALTH_COMMAND=command.line,
        UNHEALTHY_THRESHOLD="20",
    )
    eventually(sidekick.announced, what="the instance is announced")
    command.answers("exit 1")

    container.dies(137)
    container.is_replaced()
    container.runs({"64738/udp": "40003"})

    eventually(lambda: sidekick.announced() is None, what="the announcement is gone")
    command.is_asked_again(3)
    assert sidekick.announced() is None
