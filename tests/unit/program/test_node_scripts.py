"""The scripts that every node runs, each against what a node and Azure may look like."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.program.node_folder import NodeFolder, node_folder

SHA256 = "0123456789abcdef" * 4


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeFolder]:
    with node_folder(tmp_path) as folder:
        yield folder


def bundle(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"bin/{name}")
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content.encode()))
    return packed.getvalue()


class TestNodeEnv:
    INSTANCE: dict[str, object]

    def instance(self, **compute: str) -> dict[str, object]:
        address = {"privateIpAddress": "10.20.0.7"}
        return {
            "compute": {"name": "scale-set-core1a2b3c4d_3", "zone": "", **compute},
            "network": {"interface": [{"ipv4": {"ipAddress": [address]}}]},
        }

    def test_it_names_the_node_by_its_number_in_the_scale_set(self, node: NodeFolder) -> None:
        node.azure.instance = self.instance(zone="2")

        assert node.run("node-env").returncode == 0

        assert node.file("/run/node.env").read_text() == (
            "NODE_NAME=core-3\nNODE_IP=10.20.0.7\nNODE_ZONE=2\n"
        )

    def test_a_node_outside_zones_has_a_zone_that_metadata_can_hold(self, node: NodeFolder) -> None:
        node.azure.instance = self.instance()

        node.run("node-env")

        assert "NODE_ZONE=none\n" in node.file("/run/node.env").read_text()

    def test_without_an_address_it_asks_again_and_writes_nothing_half(
        self, node: NodeFolder
    ) -> None:
        node.azure.instance = {"compute": {"name": "core_0"}, "network": {"interface": []}}
        before = node.file("/run/node.env").read_text()
        node.play("sleep", "kill $PPID")

        assert node.run("node-env").returncode != 0

        assert node.file("/run/node.env").read_text() == before


class TestFetchBlob:
    def test_it_brings_the_blob(self, node: NodeFolder, tmp_path: Path) -> None:
        sha256 = node.offer_blob("thing.tar.gz", b"content")

        done = node.run("fetch-blob", "thing.tar.gz", sha256, str(tmp_path / "file"))

        assert done.returncode == 0, done.stderr
        assert (tmp_path / "file").read_bytes() == b"content"

    def test_it_waits_for_a_role_that_has_not_spread(
        self, node: NodeFolder, tmp_path: Path
    ) -> None:
        sha256 = node.offer_blob("thing.tar.gz", b"content")
        node.azure.refusals = 3

        done = node.run("fetch-blob", "thing.tar.gz", sha256, str(tmp_path / "file"))

        assert done.returncode == 0
        assert done.stderr.count("403") == 3

    def test_what_has_another_hash_is_not_accepted(self, node: NodeFolder, tmp_path: Path) -> None:
        node.offer_blob("thing.tar.gz", b"planted")
        node.play("sleep", "kill $PPID")

        done = node.run("fetch-blob", "thing.tar.gz", SHA256, str(tmp_path / "file"))

        assert done.returncode != 0
        assert f"thing.tar.gz has not the sha256 {SHA256}" in done.stderr

    def test_no_token_is_seen_on_a_command_line(self, node: NodeFolder, tmp_path: Path) -> None:
        sha256 = node.offer_blob("thing.tar.gz", b"content")
        node.play("curl", 'exec /usr/bin/curl "$@"')

        node.run("fetch-blob", "thing.tar.gz", sha256, str(tmp_path / "file"))

        assert not [call for call in node.calls if "Bearer" in call]


class TestNodeBundle:
    def configure(self, node: NodeFolder, content: bytes) -> None:
        sha256 = node.offer_blob("bundle.tar.gz", content)
        conf = node.file("/etc/fleet-node.conf")
        conf.write_text(f"{conf.read_text()}BUNDLE_BLOB=bundle.tar.gz\nBUNDLE_SHA256={sha256}\n")

    def test_it_brings_programs_once(self, node: NodeFolder) -> None:
        self.configure(node, bundle(etcd="#!/bin/sh\n"))

        first = node.run("node-bundle")
        second = node.run("node-bundle")

        assert first.returncode == second.returncode == 0, first.stderr
        assert node.file("/opt/bin/etcd").stat().st_mode & 0o777 == 0o755
        assert node.azure.requests.count("/nodes/bundle.tar.gz") == 1

    def test_another_bundle_is_brought(self, node: NodeFolder) -> None:
        self.configure(node, bundle(etcd="old"))
        node.run("node-bundle")
        self.configure(node, bundle(etcd="new"))

        node.run("node-bundle")

        assert node.file("/opt/bin/etcd").read_text() == "new"

    def test_it_leaves_nothing_behind(self, node: NodeFolder) -> None:
        self.configure(node, bundle(etcd="x"))

        node.run("node-bundle")

        assert list(node.file("/var/tmp").iterdir()) == []


class TestNodeSecrets:
    HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"

    @pytest.fixture(autouse=True)
    def _vault(self, node: NodeFolder) -> None:
        node.azure.secrets = {
            "ssh-host-key": "HOST KEY\n",
            "tls-key": "TLS KEY\n",
            "tls-certificate": "CERTIFICATE\n",
        }
        node.play("ssh-keygen", "echo PUBLIC KEY")
        node.play("systemctl", "exit 3")  # sshd is started for each connection

    def test_keys_are_for_root_only(self, node: NodeFolder) -> None:
        done = node.run("node-secrets")

        assert done.returncode == 0, done.stderr
        for path in (self.HOST_KEY, "/run/fleet-secrets/tls.key", "/run/fleet-secrets/tls.crt"):
            assert node.file(path).stat().st_mode & 0o777 == 0o600, path
        assert node.file("/run/fleet-secrets").stat().st_mode & 0o777 == 0o700
        assert node.file(self.HOST_KEY).read_text() == "HOST KEY\n\n"

    def test_the_keys_that_sshd_made_are_replaced(self, node: NodeFolder) -> None:
        node.write(self.HOST_KEY, "made at boot")

        node.run("node-secrets")

        assert "HOST KEY" in node.file(self.HOST_KEY).read_text()
        assert node.file(f"{self.HOST_KEY}.pub").read_text() == "PUBLIC KEY\n"

    def test_a_daemon_that_runs_all_the_time_is_restarted_once(self, node: NodeFolder) -> None:
        node.play("systemctl")

        node.run("node-secrets")
        node.run("node-secrets")

        assert node.calls.count("systemctl restart sshd.service") == 1

    def test_it_waits_for_its_role(self, node: NodeFolder) -> None:
        node.azure.refusals = 2

        assert node.run("node-secrets").returncode == 0

    def test_it_leaves_no_copies(self, node: NodeFolder) -> None:
        node.run("node-secrets")

        assert not list(node.file("/run").glob("node-secrets.*"))


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

    def test_a_disk_that_does_not_come_is_told(self, node: NodeFolder) -> None:
        node.file(self.DISK).unlink()

        done = node.run("etcd-disk")

        assert done.returncode != 0
        assert "no data disk" in done.stderr


class TestEtcdPrepare:
    @pytest.fixture(autouse=True)
    def _programs(self, node: NodeFolder) -> None:
        node.play("mountpoint")
        node.play("chown")
        bootstrap = node.file("/opt/bin/fleet-cluster")
        bootstrap.write_text(
            f"#!/bin/bash\necho fleet-cluster $* >> {node.root}/calls\n"
            f"echo ETCD_INITIAL_CLUSTER_STATE=new > {node.root}/run/etcd.env\n"
        )

    def test_a_node_with_data_starts_with_it_and_asks_nobody(self, node: NodeFolder) -> None:
        node.file("/var/lib/etcd/member").mkdir()

        assert node.run("etcd-prepare").returncode == 0

        environment = node.file("/run/etcd.env").read_text()
        assert "ETCD_NAME=core-0\n" in environment
        assert "http://10.20.0.4:2380" in environment
        assert "INITIAL_CLUSTER=" not in environment
        assert not [call for call in node.calls if "bootstrap" in call]

    def test_without_data_the_cluster_decides(self, node: NodeFolder) -> None:
        assert node.run("etcd-prepare").returncode == 0

        assert "fleet-cluster bootstrap" in node.calls
        assert "STATE=new" in node.file("/run/etcd.env").read_text()

    def test_etcd_never_writes_to_the_system_disk(self, node: NodeFolder) -> None:
        node.play("mountpoint", "exit 1")

        done = node.run("etcd-prepare")

        assert done.returncode != 0
        assert "the data disk is not mounted" in done.stderr


class TestPlatformImage:
    def test_an_image_that_is_there_is_not_fetched(self, node: NodeFolder) -> None:
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

    def test_it_says_how_it_is_used(self, node: NodeFolder) -> None:
        done = node.run("platform-image", "remove", "router", SHA256)

        assert done.returncode == 2
        assert "usage: platform-image ensure NAME SHA256" in done.stderr


class TestFleetCluster:
    @pytest.fixture(autouse=True)
    def _docker(self, node: NodeFolder) -> None:
        node.play("docker", f"[[ $1 == run ]] && cat >> {node.root}/stdin; exit 0")

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

    def test_other_verbs_get_their_order_unread(self, node: NodeFolder) -> None:
        assert node.run("fleet-cluster", "apply", stdin='{"name": "x"}').returncode == 0

        # no etcd answers here
        assert self.ran(node).endswith(f"fleet/cluster:sha-{'c' * 12} apply")
        assert node.file("/stdin").read_text() == '{"name": "x"}'
        assert "/var/run/fleet.sock:" in self.ran(node)


class TestContainerFirewall:
    def test_containers_reach_neither_identities_nor_etcd(self, node: NodeFolder) -> None:
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


class TestNodeDocker:
    def test_docker_that_knows_our_configuration_is_left_alone(self, node: NodeFolder) -> None:
        node.play("docker", "echo true")
        node.play("systemctl")

        assert node.run("node-docker").returncode == 0

        assert "systemctl restart docker.service" not in node.calls

    def test_docker_that_started_too_early_is_restarted(self, node: NodeFolder) -> None:
        node.play("docker", f"cat {node.root}/live 2>/dev/null || echo false")
        node.play("systemctl", f"echo true > {node.root}/live")

        assert node.run("node-docker").returncode == 0

        assert "systemctl restart docker.service" in node.calls

    def test_docker_that_does_not_follow_is_told(self, node: NodeFolder) -> None:
        node.play("docker", "echo false")
        node.play("systemctl")

        assert node.run("node-docker").returncode == 1


class TestImagePull:
    def test_an_image_is_pulled_once(self, node: NodeFolder) -> None:
        node.play("docker", "[[ $1 == pull ]]")
        assert node.run("image-pull", "localhost:5000/a@sha256:1").returncode == 0
        assert "docker pull --quiet localhost:5000/a@sha256:1" in node.calls

    def test_an_image_that_is_here_is_not_asked_for(self, node: NodeFolder) -> None:
        node.play("docker")

        assert node.run("image-pull", "localhost:5000/a@sha256:1").returncode == 0

        assert not [call for call in node.calls if "pull" in call]
