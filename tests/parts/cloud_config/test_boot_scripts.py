"""The scripts that make a machine a node, each against what a node and Azure may look like."""

import datetime
import io
import tarfile
from pathlib import Path

import pytest

from components.credentials import new_certificate
from tests.program.node_folder import NodeFolder

SHA256 = "0123456789abcdef" * 4


def bundle(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"bin/{name}")
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content.encode()))
    return packed.getvalue()


class TestNodeEnv:
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
        assert node.file("/run/node-life/boot").read_text().strip()

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
    def test_the_blob_is_fetched(self, node: NodeFolder, tmp_path: Path) -> None:
        sha256 = node.offer_blob("thing.tar.gz", b"content")

        done = node.run("fetch-blob", "thing.tar.gz", sha256, str(tmp_path / "file"))

        assert done.returncode == 0, done.stderr
        assert (tmp_path / "file").read_bytes() == b"content"

    def test_fetching_waits_for_a_role_to_propagate(self, node: NodeFolder, tmp_path: Path) -> None:
        sha256 = node.offer_blob("thing.tar.gz", b"content")
        node.azure.refusals = 3

        done = node.run("fetch-blob", "thing.tar.gz", sha256, str(tmp_path / "file"))

        assert done.returncode == 0
        assert done.stderr.count("403") == 3

    def test_a_blob_with_another_hash_is_refused(self, node: NodeFolder, tmp_path: Path) -> None:
        node.offer_blob("thing.tar.gz", b"planted")
        node.play("sleep", "kill $PPID")

        done = node.run("fetch-blob", "thing.tar.gz", SHA256, str(tmp_path / "file"))

        assert done.returncode != 0
        assert f"thing.tar.gz does not have the sha256 {SHA256}" in done.stderr

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

    def test_a_bundle_is_fetched_only_once(self, node: NodeFolder) -> None:
        self.configure(node, bundle(etcd="#!/bin/sh\n"))

        first = node.run("node-bundle")
        second = node.run("node-bundle")

        assert first.returncode == second.returncode == 0, first.stderr
        assert node.file("/opt/bin/etcd").stat().st_mode & 0o777 == 0o755
        assert node.azure.requests.count("/nodes/bundle.tar.gz") == 1

    def test_a_new_bundle_is_fetched(self, node: NodeFolder) -> None:
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
        node.azure.secrets = {"ssh-host-key": "HOST KEY\n"}
        self.renew(node)
        node.play("ssh-keygen", "echo PUBLIC KEY")
        node.play("systemctl", "exit 3")  # sshd is started for each connection

    def renew(self, node: NodeFolder) -> None:
        key, certificate = new_certificate(["a.example"], [], datetime.datetime.now(datetime.UTC))
        node.azure.secrets |= {"tls-key": key, "tls-certificate": certificate}

    def test_keys_are_for_root_only(self, node: NodeFolder) -> None:
        done = node.run("node-secrets")

        assert done.returncode == 0, done.stderr
        for path in (self.HOST_KEY, "/run/fleet-secrets/tls.key", "/run/fleet-secrets/tls.crt"):
            assert node.file(path).stat().st_mode & 0o777 == 0o600, path
        assert node.file("/run/fleet-secrets").stat().st_mode & 0o777 == 0o700
        assert node.file(self.HOST_KEY).read_text() == "HOST KEY\n"

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

    def test_a_renewed_certificate_takes_the_place_of_the_old_one(self, node: NodeFolder) -> None:
        node.run("node-secrets")
        self.renew(node)

        done = node.run("node-secrets")

        assert done.returncode == 0, done.stderr
        for name, file in (("tls-key", "tls.key"), ("tls-certificate", "tls.crt")):
            installed = node.file(f"/run/fleet-secrets/{file}").read_text()
            assert installed.strip() == node.azure.secrets[name].strip()

    def test_a_key_and_a_certificate_that_do_not_belong_together_are_not_installed(
        self, node: NodeFolder
    ) -> None:
        node.run("node-secrets")
        before = node.file("/run/fleet-secrets/tls.key").read_text()
        certificate = node.azure.secrets["tls-certificate"]
        self.renew(node)
        node.azure.secrets["tls-certificate"] = certificate  # the vault is half way through
        node.play("sleep", "kill $PPID")

        done = node.run("node-secrets")

        assert done.returncode != 0
        assert "the TLS key in the vault does not belong to the certificate" in done.stderr
        assert node.file("/run/fleet-secrets/tls.key").read_text() == before

    def test_it_leaves_no_copies(self, node: NodeFolder) -> None:
        node.run("node-secrets")

        assert not list(node.file("/run").glob("node-secrets.*"))
