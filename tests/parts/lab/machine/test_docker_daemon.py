"""The Docker daemon that the lab starts, in the test's own namespaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ONCE = """
from lab.machine import docker_daemon
first = docker_daemon.ensure()
assert docker_daemon.ensure().info()["ID"] == first.info()["ID"], "a second one was started"
print(first.info()["DockerRootDir"])
docker_daemon.stop()
docker_daemon.stop()
"""

KILLED = """
import os, signal
from lab.machine import docker_daemon
from lab.machine.paths import state_root
docker_daemon.ensure()
os.kill(int((state_root() / "dockerd.pid").read_text()), signal.SIGKILL)
print(docker_daemon.ensure().info()["DockerRootDir"])
docker_daemon.stop()
"""

ITS_NUMBER_IS_ANOTHERS = """
import os
from lab.machine import docker_daemon
from lab.machine.paths import state_root
(state_root() / "dockerd.pid").write_text(str(os.getpid()))
print(docker_daemon.ensure().info()["DockerRootDir"])
docker_daemon.stop()
"""


@pytest.mark.parametrize("story", [ONCE, KILLED, ITS_NUMBER_IS_ANOTHERS])
def test_the_daemon_starts_once_and_leaves_nothing(tmp_path: Path, story: str) -> None:
    script = f"""set -euo pipefail
    mount -t tmpfs tmpfs /run
    ip link set lo up
    unset DOCKER_HOST
    export XDG_CACHE_HOME={tmp_path}/cache XDG_STATE_HOME={tmp_path}/state
    cut -d' ' -f5 /proc/self/mountinfo >{tmp_path}/mounts-before
    {sys.executable} - >{tmp_path}/root <<'PYTHON'{story}PYTHON
    cut -d' ' -f5 /proc/self/mountinfo >{tmp_path}/mounts
    iptables-save | grep -E 'DOCKER|docker0|FORWARD DROP' >{tmp_path}/after || true
    ip -brief link >{tmp_path}/links
    pgrep --nslist net --ns $$ 'dockerd|containerd' >{tmp_path}/processes || true
    """

    subprocess.run(["unshare", "--net", "--mount", "bash", "-c", script], check=True)

    assert (tmp_path / "root").read_text().strip() == f"{tmp_path}/cache/fleet-azure/docker"
    assert (tmp_path / "after").read_text() == ""
    assert "docker0" not in (tmp_path / "links").read_text()
    # those of other containers may end meanwhile
    assert not mounts(tmp_path / "mounts") - mounts(tmp_path / "mounts-before")
    assert (tmp_path / "processes").read_text() == ""
    assert not list((tmp_path / "state" / "fleet-azure").glob("*dockerd*"))


def mounts(file: Path) -> set[str]:
    return set(file.read_text().splitlines())
