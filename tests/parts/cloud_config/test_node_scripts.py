"""The scripts that run on a node: etcd's disk and start, images, containers."""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import pytest

from cluster.bootstrap.run import Start, environment_file
from tests.eventually import eventually
from tests.program.node_folder import NodeFolder

SHA256 = "0123456789abcdef" * 4


@contextmanager
def locked(node: NodeFolder, name: str) -> Iterator[IO[bytes]]:
    """Hold a lock file as another program would, until the file is closed."""
    with node.file(f"/run/lock/{name}").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file


class TestEtcdDisk:
    DISK = "/dev/disk/azure/scsi1/lun0"

    @pytest.fixture(autouse=True)
    def _programs(self, node: NodeFolder) -> None:
        node.play("mkfs.ext4")
        # the tests have no block device: the script sees one where the file is
        script = node.file("/opt/bin/etcd-disk")
        script.write_text(script.read_text().replace("-b $DISK", "-e $DISK"))
        node.write(self.DISK, "")

    def test_a_blank_disk_is_formatted(self, node: NodeFolder) -> None:
        node.play("blkid", "exit 2")

        assert node.run("etcd-disk").returncode == 0

        assert f"mkfs.ext4 -q -L etcd {self.DISK}" in node.calls

    @pytest.mark.parametrize(
        ("status", "output", "succeeds"), [(0, "ext4", True), (4, "", False), (8, "", False)]
    )
    def test_anything_else_is_left_alone(
        self, node: NodeFolder, status: int, output: str, succeeds: bool
    ) -> None:
        node.play("blkid", f"echo {output}; exit {status}")

        assert (node.run("etcd-disk").returncode == 0) is succeeds

        assert not [call for call in node.calls if call.startswith("mkfs")]

    def test_a_disk_that_comes_late_is_waited_for(self, node: NodeFolder) -> None:
        node.play("blkid", "exit 2")
        node.file(self.DISK).unlink()
        node.play("sleep", f"touch {node.file(self.DISK)}")

        done = node.run("etcd-disk")

        assert done.returncode == 0
        assert "waiting for the data disk" in done.stderr
        assert f"mkfs.ext4 -q -L etcd {self.DISK}" in node.calls


class TestEtcdPrepare:
    ADDRESSES = (
        "ETCD_NAME=core-0",
        "ETCD_LISTEN_PEER_URLS=http://10.20.0.4:2380",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS=http://10.20.0.4:2380",
        "ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:2379,http://10.20.0.4:2379",
        "ETCD_ADVERTISE_CLIENT_URLS=http://10.20.0.4:2379",
    )

    @pytest.fixture(autouse=True)
    def _programs(self, node: NodeFolder) -> None:
        node.play("mountpoint")
        node.play("chown")
        # the verb writes its file with the bootstrap's own function
        node.file("/start").write_text(
            environment_file(Start(members={"core-0": "10.20.0.4"}, state="new", token="t"))
        )
        self.bootstrap(node, f"cp {node.root}/start {node.root}/run/etcd-start.env")

    def bootstrap(self, node: NodeFolder, command: str) -> None:
        """Put a stub in place of the cluster program."""
        node.file("/opt/bin/fleet-cluster").write_text(
            f"#!/bin/bash\necho fleet-cluster $* >> {node.root}/calls\n{command}\n"
        )

    def environment(self, node: NodeFolder) -> list[str]:
        text = node.file("/run/etcd.env").read_text()
        return text.replace(f"{node.url}/etcd", "http://127.0.0.1:2379").splitlines()

    def test_node_with_data_starts_with_it_and_asks_no_other_node(self, node: NodeFolder) -> None:
        node.file("/var/lib/etcd/member/wal").mkdir(parents=True)

        assert node.run("etcd-prepare").returncode == 0

        assert self.environment(node) == [*self.ADDRESSES, "ETCD_INITIAL_CLUSTER_STATE=existing"]
        assert not [call for call in node.calls if "bootstrap" in call]

    def test_etcd_that_was_stopped_before_it_had_data_forms_no_new_cluster(
        self, node: NodeFolder
    ) -> None:
        """etcd makes its folder first, then asks the other members, and its log comes last."""
        node.file("/var/lib/etcd/member/snap").mkdir(parents=True)

        assert node.run("etcd-prepare").returncode == 0

        assert "fleet-cluster bootstrap" in node.calls
        assert not node.file("/var/lib/etcd/member").exists()

    def test_bootstrap_decides_for_a_node_without_data(self, node: NodeFolder) -> None:
        assert node.run("etcd-prepare").returncode == 0

        assert self.environment(node) == [
            *self.ADDRESSES,
            "ETCD_INITIAL_CLUSTER=core-0=http://10.20.0.4:2380",
            "ETCD_INITIAL_CLUSTER_STATE=new",
            "ETCD_INITIAL_CLUSTER_TOKEN=t",
        ]

    @pytest.mark.parametrize("failure", ["exit 1", "true"], ids=["fails", "writes nothing"])
    def test_etcd_does_not_start_with_an_earlier_runs_decision(
        self, node: NodeFolder, failure: str
    ) -> None:
        node.run("etcd-prepare")
        node.file("/run/etcd.env").unlink()
        self.bootstrap(node, failure)

        assert node.run("etcd-prepare").returncode == 1

        assert not node.file("/run/etcd.env").exists()

    def test_etcd_never_writes_to_the_system_disk(self, node: NodeFolder) -> None:
        node.play("mountpoint", "exit 1")

        done = node.run("etcd-prepare")

        assert done.returncode == 1
        assert "the data disk is not mounted" in done.stderr


class TestPlatformImage:
    def test_an_existing_image_is_not_fetched(self, node: NodeFolder) -> None:
        node.play("docker")

        done = node.run("platform-image", "ensure", "router", SHA256)

        assert done.stdout == "fleet/router:sha-0123456789ab\n"
        assert node.azure.requests == []

    def test_an_image_is_fetched_loaded_and_marked(self, node: NodeFolder) -> None:
        content = b"image"
        sha256 = hashlib.sha256(content).hexdigest()
        node.offer_blob(f"image-router-{sha256[:12]}.tar.gz", content)
        node.play(
            "docker",
            'case $1 in image) exit 1 ;; load) echo "Loaded image: fleet/router:key" ;; esac',
        )

        done = node.run("platform-image", "ensure", "router", sha256)

        assert done.returncode == 0, done.stderr
        assert done.stdout == f"fleet/router:sha-{sha256[:12]}\n"
        assert f"docker tag fleet/router:key fleet/router:sha-{sha256[:12]}" in node.calls
        assert list(node.file("/var/tmp").iterdir()) == []

    def test_wrong_arguments_print_the_usage(self, node: NodeFolder) -> None:
        done = node.run("platform-image", "remove", "router", SHA256)

        assert done.returncode == 2
        assert "usage: platform-image ensure NAME SHA256" in done.stderr


class TestFleetCluster:
    @pytest.fixture(autouse=True)
    def _docker(self, node: NodeFolder) -> None:
        node.play("docker", f"[[ $1 == run ]] && cat >> {node.root}/stdin; exit 0")
        node.play("nproc", "echo 3")

    def ran(self, node: NodeFolder) -> str:
        (call,) = (call for call in node.calls if call.startswith("docker run"))
        return call

    def test_before_there_is_a_cluster_it_runs_what_the_node_was_made_with(
        self, node: NodeFolder
    ) -> None:
        assert node.run("fleet-cluster", "bootstrap").returncode == 0

        assert self.ran(node).endswith(f"fleet/cluster:sha-{'c' * 12} bootstrap")
        assert "--volume /run:/run/host" in self.ran(node)

    def test_the_platform_brings_the_image_that_it_runs_in(self, node: NodeFolder) -> None:
        order = f'{{"images": {{"cluster": "{SHA256}"}}, "text": "a  b\\\\n"}}'

        assert node.run("fleet-cluster", "platform", stdin=order).returncode == 0

        assert self.ran(node).endswith("fleet/cluster:sha-0123456789ab platform")
        assert node.file("/stdin").read_text() == f"{order}\n"

    def test_other_verbs_get_stdin_unchanged(self, node: NodeFolder) -> None:
        assert node.run("fleet-cluster", "apply", stdin='{"name": "x"}').returncode == 0

        # no etcd answers here
        assert self.ran(node).endswith(f"fleet/cluster:sha-{'c' * 12} apply")
        assert node.file("/stdin").read_text() == '{"name": "x"}'
        assert "/var/run/fleet.sock:" in self.ran(node)

    def test_rollouts_wait_when_many_are_running(self, node: NodeFolder) -> None:
        with ExitStack() as others:
            slots = [others.enter_context(locked(node, f"fleet-cluster-{n}")) for n in range(1, 7)]
            line = others.enter_context(locked(node, "fleet-cluster-queue"))
            rollouts = [
                others.enter_context(node.running("fleet-cluster", "apply")) for _ in range(3)
            ]
            for rollout in rollouts:
                assert rollout.stdin is not None
                assert rollout.stderr is not None
                rollout.stdin.close()
                assert rollout.stderr.readline().startswith("waiting: 6 rollouts run on this node")
            line.close()
            eventually(lambda: "sleep 0.2" in node.calls, what="the first in line found no slot")
            assert not [call for call in node.calls if call.startswith("docker run")]

            slots[4].close()

            assert [rollout.wait(60) for rollout in rollouts] == [0, 0, 0]

    def test_status_does_not_wait_for_rollouts(self, node: NodeFolder) -> None:
        with ExitStack() as others:
            for name in ("queue", *range(1, 7)):
                others.enter_context(locked(node, f"fleet-cluster-{name}"))

            assert node.run("fleet-cluster", "status").returncode == 0
            assert node.run("fleet-cluster", "certificates", stdin="{}").returncode == 0

    def test_a_rollout_keeps_its_slot_until_it_ends(self, node: NodeFolder) -> None:
        node.play("docker", "[[ $1 == run ]] && cat; exit 0")

        with node.running("fleet-cluster", "apply") as rollout:
            eventually(lambda: any("docker run" in call for call in node.calls), what="it runs")
            with pytest.raises(BlockingIOError), locked(node, "fleet-cluster-1"):
                pass
            assert rollout.stdin is not None
            rollout.stdin.close()
            assert rollout.wait(60) == 0

        with locked(node, "fleet-cluster-1"):
            pass

    @pytest.mark.parametrize("verb", ["apply", "remove", "certificates"])
    def test_a_program_whose_client_is_gone_is_stopped(
        self, node: NodeFolder, tmp_path: Path, verb: str
    ) -> None:
        node.play("docker", "[[ $1 == run ]] && exec /bin/sleep 20; exit 0")
        # what counts is the name of the process that the script descends from
        server = tmp_path / "sshd-session"
        shutil.copy("/bin/bash", server)
        program = node.file("/opt/bin/fleet-cluster")
        session = subprocess.Popen([server, "-c", f"{program} {verb} & wait"], env=node.environment)
        eventually(lambda: any("docker run" in call for call in node.calls), what="it runs")
        name = re.search(r"--name (fleet-cluster-\d+)", self.ran(node))
        assert name

        session.kill()
        session.wait()

        stopped = f"docker kill --signal TERM {name[1]}"
        eventually(lambda: stopped in node.calls, what="it is stopped")


MARK = {"nodes": [{"key": "/rollouts/lms-acme", "value": "{}"}]}
"""Of a rollout that has begun."""


class TestRolloutSettle:
    @pytest.fixture(autouse=True)
    def _cluster(self, node: NodeFolder) -> None:
        """Only that the cluster program is called is of interest."""
        stub = node.file("/opt/bin/fleet-cluster")
        stub.write_text(f"#!/bin/bash\necho fleet-cluster $* >> {node.root}/calls\n")

    def settled(self, node: NodeFolder) -> bool:
        done = node.run("rollout-settle")
        assert done.returncode == 0, done.stderr
        return "fleet-cluster settle" in node.calls

    def test_without_a_mark_there_is_nothing_to_do(self, node: NodeFolder) -> None:
        assert not self.settled(node)

    def test_an_interrupted_rollout_is_undone(self, node: NodeFolder) -> None:
        node.azure.etcd["/rollouts"] = MARK

        assert self.settled(node)

    def test_a_running_rollout_is_left_alone(self, node: NodeFolder) -> None:
        node.azure.etcd["/rollouts"] = MARK
        node.azure.etcd["/locks/lms-acme"] = {"key": "/locks/lms-acme", "value": "{}"}

        assert not self.settled(node)


class TestContainerFirewall:
    def test_containers_can_not_reach_the_metadata_service_or_etcd(self, node: NodeFolder) -> None:
        node.play("iptables", "[[ $* != *--check* && $* != *--list-rules* ]]")

        done = node.run("container-firewall")

        assert done.returncode == 0, done.stderr
        rules = [call.removeprefix("iptables --wait 10 ") for call in node.calls]
        assert "--append FLEET-CONTAINERS --destination 169.254.169.254 --jump REJECT" in rules
        assert (
            "--append FLEET-CONTAINERS --protocol tcp --destination-port 2379:2380 --jump REJECT"
            in rules
        )
        for hook in ("INPUT", "DOCKER-USER"):
            assert f"--insert {hook} --in-interface docker0 --jump FLEET-CONTAINERS" in rules

    def test_running_again_adds_nothing_twice(self, node: NodeFolder) -> None:
        node.play("iptables")

        assert node.run("container-firewall").returncode == 0

        assert not [call for call in node.calls if "--insert" in call or "--new-chain" in call]
        assert "iptables --wait 10 --flush FLEET-CONTAINERS" in node.calls


class TestNodeLife:
    def test_a_boot_has_one_id(self, node: NodeFolder) -> None:
        node.run("node-life", "boot")
        first = node.file("/run/node-life/boot").read_text()
        node.run("node-life", "boot")

        assert node.file("/run/node-life/boot").read_text() == first
        node.file("/run/node-life/boot").unlink()  # /run is in memory
        node.run("node-life", "boot")
        assert node.file("/run/node-life/boot").read_text() != first

    def test_each_start_of_docker_has_another_id(self, node: NodeFolder) -> None:
        ids = set()
        for _ in range(3):
            assert node.run("node-life", "docker").returncode == 0
            ids.add(node.file("/run/node-life/docker").read_text())

        assert len(ids) == 3

    def test_wrong_arguments_print_the_usage(self, node: NodeFolder) -> None:
        assert node.run("node-life", "both").stderr == "usage: node-life boot|docker\n"


class TestNodeDocker:
    def test_docker_with_the_right_configuration_is_left_alone(self, node: NodeFolder) -> None:
        node.play("docker", "echo true")
        node.write("/run/node-life/docker", "id\n")
        node.play("systemctl")

        assert node.run("node-docker").returncode == 0

        assert "systemctl restart docker.service" not in node.calls

    def test_docker_that_started_too_early_is_restarted(self, node: NodeFolder) -> None:
        node.play("docker", f"cat {node.root}/live 2>/dev/null || echo false")
        node.play(
            "systemctl", f"echo true > {node.root}/live; {node.root}/opt/bin/node-life docker"
        )

        assert node.run("node-docker").returncode == 0

        assert "systemctl restart docker.service" in node.calls

    def test_docker_that_started_before_its_units_drop_in_is_restarted(
        self, node: NodeFolder
    ) -> None:
        node.play("docker", "echo true")
        node.play("systemctl", f"{node.root}/opt/bin/node-life docker")

        assert node.run("node-docker").returncode == 0

        assert "systemctl restart docker.service" in node.calls

    def test_docker_that_ignores_the_configuration_is_reported(self, node: NodeFolder) -> None:
        node.play("docker", "echo false")
        node.play("systemctl")

        assert node.run("node-docker").returncode == 1


class TestImagePull:
    def test_an_image_is_pulled_once(self, node: NodeFolder) -> None:
        node.play("docker", "[[ $1 == pull ]]")
        assert node.run("image-pull", "localhost:5000/a@sha256:1").returncode == 0
        assert "docker pull --quiet localhost:5000/a@sha256:1" in node.calls

    def test_an_existing_image_is_not_pulled(self, node: NodeFolder) -> None:
        node.play("docker")

        assert node.run("image-pull", "localhost:5000/a@sha256:1").returncode == 0

        assert not [call for call in node.calls if "pull" in call]


class TestNodePrune:
    def test_images_in_use_survive_and_platform_images_are_not_touched(
        self, node: NodeFolder
    ) -> None:
        node.play(
            "docker",
            'case "$1 $2" in "image ls") echo fleet/router@sha256:0;'
            " echo localhost:5000/used@sha256:1; echo localhost:5000/a/b/c@sha256:2;"
            " echo localhost:5000/using/no/name@sha256:3 ;;"
            ' "container ls") echo fleet/router:sha-0; echo localhost:5000/used@sha256:1 ;;'
            ' "image rm") [[ $3 != *no/name* ]] ;; esac',
        )

        done = node.run("node-prune")

        assert done.returncode == 0, done.stderr
        assert done.stdout == "removed localhost:5000/a/b/c@sha256:2\n"
        removals = [call for call in node.calls if "image rm" in call]
        assert not [call for call in removals if "fleet/" in call or "/used@" in call]

    def test_without_images_there_is_nothing_to_do(self, node: NodeFolder) -> None:
        node.play("docker")

        assert node.run("node-prune").returncode == 0


class TestAccessLogRotate:
    LOG = "/var/log/router/access.log"

    def test_a_log_over_its_limit_is_renamed(self, node: NodeFolder) -> None:
        node.write(self.LOG, "")
        with node.file(self.LOG).open("ab") as nginx:  # which keeps it open, and appends
            nginx.truncate(64 * 1024 * 1024 + 1)

            assert node.run("access-log-rotate").returncode == 0

            nginx.write(b"next\n")
        assert node.file(self.LOG).read_bytes() == b"next\n"
        assert node.file(f"{self.LOG}.1").stat().st_size == 64 * 1024 * 1024 + 1

    def test_a_smaller_log_is_left_alone(self, node: NodeFolder) -> None:
        assert node.run("access-log-rotate").returncode == 0, "there need not be one"
        node.write(self.LOG, "line\n")

        assert node.run("access-log-rotate").returncode == 0

        assert node.file(self.LOG).read_text() == "line\n"
        assert not node.file(f"{self.LOG}.1").exists()


class TestFleetUnregister:
    @pytest.fixture(autouse=True)
    def _machine_id(self, node: NodeFolder) -> None:
        node.write("/etc/machine-id", "0123abcd\n")

    def test_the_nodes_old_registration_is_removed(self, node: NodeFolder) -> None:
        registered(node, "10.20.0.4")

        assert node.run("fleet-unregister").returncode == 0

        [call] = deletions(node)
        assert call.endswith("/_coreos.com/fleet/machines/0123abcd/object")

    def test_another_nodes_registration_is_left_alone(self, node: NodeFolder) -> None:
        registered(node, "10.20.0.5")

        assert node.run("fleet-unregister").returncode == 0

        assert deletions(node) == []

    def test_without_a_registration_or_etcd_fleet_starts_as_it_is(self, node: NodeFolder) -> None:
        node.play("curl", "exit 22")

        assert node.run("fleet-unregister").returncode == 0

        assert deletions(node) == []


def registered(node: NodeFolder, address: str) -> None:
    """etcd holds this address under the machine's id."""
    machine = json.dumps({"ID": "0123abcd", "PublicIP": address})
    answer = json.dumps({"node": {"value": machine}})
    node.play("curl", f"[[ $* == *DELETE* ]] || cat <<'JSON'\n{answer}\nJSON")


def deletions(node: NodeFolder) -> list[str]:
    return [call for call in node.calls if call.startswith("curl") and "DELETE" in call]
