"""The script that runs a unit's container, with a docker that can be away.

Its container here is a process of the test's. What the real docker makes of the options is seen in
the lab.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.program.node_folder import NodeFolder

UNIT, NAME = "api-0a1b2c3d@1.service", "api-0a1b2c3d-1"
DOCKER = """
[[ ! -e {root}/away ]] || {{ echo "Cannot connect to the Docker daemon" >&2; exit 1; }}
case $1 in
  run) [[ ! -e {root}/refusal ]] || {{ cat {root}/refusal >&2; exit 125; }} ;;
  inspect) cat {root}/process ;;
  wait)
    [[ -e {root}/process ]] || {{ echo "Error: No such container: x" >&2; exit 1; }}
    until [[ -e {root}/code ]]; do /bin/sleep 0.05; done
    cat {root}/code
    ;;
esac
"""


class Container:
    """The process that docker says it has started, and how it ended."""

    def __init__(self, node: NodeFolder) -> None:
        self._node = node
        # it takes SIGTERM for what it is, as an application does
        self.process = subprocess.Popen(["/bin/sleep", "600"])
        node.write("/process", f"{self.process.pid}\n")
        node.play("docker", DOCKER.format(root=node.root))

    def docker_goes_away(self) -> None:
        self._node.write("/away", "")

    def docker_is_back(self) -> None:
        self._node.file("/away").unlink()

    def ends(self, code: int) -> None:
        """docker notices a moment after it has happened."""
        self.process.kill()
        self.process.wait()
        self._node.write("/code", f"{code}\n")


@pytest.fixture
def container(node: NodeFolder) -> Iterator[Container]:
    node.play("sleep", "exec /bin/sleep 0.05")  # the script's own second between two questions
    container = Container(node)
    yield container
    container.process.kill()
    container.process.wait()


@pytest.fixture
def script(node: NodeFolder, container: Container) -> Iterator[subprocess.Popen[bytes]]:
    del container  # first docker, then who asks it
    process = _start(node, "8080/tcp")
    eventually(lambda: _watches(process), what="it has started and is watched")
    yield process
    process.kill()
    process.wait()


def _watches(script: subprocess.Popen[bytes]) -> bool:
    """It knows the container's process, and waits for its end."""
    children = subprocess.run(
        ["ps", "--ppid", str(script.pid), "-o", "comm="], capture_output=True, text=True
    )
    return "tail" in children.stdout.split()


def _start(node: NodeFolder, *ports: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [node.file("/opt/bin/container-run"), UNIT, NAME, *ports, "--", "--memory", "64m", "image"],
        env={**node.environment, "NODE_IP": "10.20.0.4"},
    )


def _command(node: NodeFolder) -> str:
    (command,) = (call for call in node.calls if call.startswith("docker run"))
    return command


def test_the_script_ends_with_the_containers_exit_code(
    container: Container, script: subprocess.Popen[bytes]
) -> None:
    container.ends(3)

    assert script.wait(30) == 3


def test_container_that_ends_immediately_is_handled(node: NodeFolder, container: Container) -> None:
    node.write("/process", "0\n")
    node.write("/code", "127\n")

    assert _start(node).wait(30) == 127
    del container


def test_restart_of_docker_ends_nothing(
    container: Container, script: subprocess.Popen[bytes]
) -> None:
    container.docker_goes_away()
    with pytest.raises(subprocess.TimeoutExpired):
        script.wait(1)
    container.docker_is_back()

    container.ends(3)

    assert script.wait(30) == 3


def test_exit_code_is_read_after_docker_returns(
    node: NodeFolder, container: Container, script: subprocess.Popen[bytes]
) -> None:
    container.docker_goes_away()
    container.ends(3)
    eventually(lambda: node.calls.count(f"docker wait {NAME}") > 2, what="docker is asked")
    assert script.poll() is None

    container.docker_is_back()

    assert script.wait(30) == 3


def test_container_that_was_removed_is_not_waited_for(
    node: NodeFolder, container: Container, script: subprocess.Popen[bytes]
) -> None:
    node.file("/process").unlink()
    container.process.kill()
    container.process.wait()

    assert script.wait(30) == 137


def test_stop_without_docker_ends_the_container_all_the_same(
    container: Container, script: subprocess.Popen[bytes]
) -> None:
    container.docker_goes_away()

    script.terminate()

    assert container.process.wait(30) == -signal.SIGTERM
    assert script.wait(30) == 143


def test_failed_start_of_a_container_is_reported_with_the_reason(
    node: NodeFolder, container: Container
) -> None:
    node.write("/refusal", "docker: Error response from daemon: exec format error.\n")

    done = node.run("container-run", UNIT, NAME, "--", "image")

    assert done.returncode == 125
    assert done.stderr == "docker: Error response from daemon: exec format error.\n"
    del container


def test_leftover_container_of_the_same_name_is_removed(
    node: NodeFolder, script: subprocess.Popen[bytes]
) -> None:
    commands = [call.split()[1] for call in node.calls if call.startswith("docker")]

    assert commands[:2] == ["rm", "run"]
    assert f"docker rm --force --volumes {NAME}" in node.calls
    del script


def test_each_port_is_published_on_a_number_from_the_counter(
    node: NodeFolder, container: Container
) -> None:
    node.write("/process", "0\n")
    node.write("/code", "0\n")
    node.write("/var/lib/fleet-node/host-port", "40000\n")
    node.play("ss")

    assert _start(node, "8080/tcp", "64738/udp").wait(30) == 0

    published = "--publish 10.20.0.4:40000:8080/tcp --publish 10.20.0.4:40001:64738/udp"
    assert f"{published} --memory 64m image" in _command(node)
    del container


def test_each_line_is_in_the_units_journal_once(
    node: NodeFolder, script: subprocess.Popen[bytes]
) -> None:
    command = _command(node)

    assert "--log-driver journald --log-opt cache-disabled=true" in command
    # docker writes OBJECT_SYSTEMD_UNIT, by which journalctl --unit finds them
    assert "--log-opt labels=object.systemd.unit," in command
    assert f"--label object.systemd.unit={UNIT}" in command
    del script


def test_wrong_arguments_print_the_usage(node: NodeFolder) -> None:
    for arguments in ((), (UNIT,), (UNIT, NAME, "8080/tcp"), (UNIT, NAME, "--")):
        done = node.run("container-run", *arguments)

        assert done.returncode != 0
        assert "usage: container-run UNIT NAME" in done.stderr


def test_container_that_survives_its_unit_is_stopped(node: NodeFolder) -> None:
    node.play("docker", "[[ $1 == version ]] || { echo 'is not running' >&2; exit 1; }")

    done = node.run("container-end", NAME)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert node.calls == [f"docker kill {NAME}", "docker version"]


def test_stopping_a_container_waits_for_docker_to_return(node: NodeFolder, tmp_path: Path) -> None:
    node.play("docker", f"echo >>{tmp_path}/asked; (($(wc -l <{tmp_path}/asked) > 4))")

    assert node.run("container-end", NAME).returncode == 0

    away = [f"docker kill {NAME}", "docker version", "sleep 1"]
    assert node.calls == [*away, *away, f"docker kill {NAME}"]
