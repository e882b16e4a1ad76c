"""The nodes behind the public address: etcd, fleet, registries."""

from __future__ import annotations

import json

import pytest

from tests.lab.stack import LabStack

NODES = ("core-0", "core-1", "core-2")


def test_three_nodes_are_in_fleet(stack: LabStack) -> None:
    machines = stack.cluster()["machines"]

    assert sorted(one["node"] for one in machines) == list(NODES)
    assert {one["metadata"]["role"] for one in machines} == {"core"}


def test_fleetctl_on_a_node_lists_all_nodes(stack: LabStack) -> None:
    addresses = {one["address"] for one in stack.cluster()["machines"]}

    listed = stack.node("core-1", "/opt/bin/fleetctl list-machines --no-legend --fields=ip")

    assert set(listed.split()) == addresses


def test_three_etcd_members_are_healthy(stack: LabStack) -> None:
    members = stack.cluster()["etcd"]

    assert sorted(one["name"] for one in members) == list(NODES)
    assert all(one["healthy"] for one in members)


def test_members_found_each_other_by_the_blob(stack: LabStack) -> None:
    url = f"https://{stack.outputs['dataAccount']}.blob.core.windows.net/cluster/members.json"
    token = "$(sudo /opt/bin/azure-token https://storage.azure.com)"
    headers = f"--header x-ms-version:2021-08-06 --header 'Authorization: Bearer '{token}"

    record = json.loads(stack.node("core-2", f"curl -fsS {headers} {url}"))

    assert record["formed"] is True
    assert record["members"] == {one["name"]: one["address"] for one in stack.cluster()["etcd"]}


@pytest.mark.parametrize("node", NODES)
def test_systemd_is_the_first_process(stack: LabStack, node: str) -> None:
    assert stack.node(node, "cat /proc/1/comm").strip() == "systemd"


@pytest.mark.parametrize("node", NODES)
def test_coreos_cloudinit_read_the_custom_data(stack: LabStack, node: str) -> None:
    log = stack.node(node, "sudo journalctl --no-pager --output=cat --identifier=coreos-cloudinit")

    assert "Parsing user-data as cloud-config" in log
    assert 'Writing file to "/etc/fleet-node.conf"' in log


@pytest.mark.parametrize("node", NODES)
def test_no_unit_has_failed(stack: LabStack, node: str) -> None:
    assert stack.node(node, "systemctl list-units --failed --no-legend --plain") == ""


@pytest.mark.parametrize("node", NODES)
def test_etcd_has_a_separate_disk(stack: LabStack, node: str) -> None:
    mounted = stack.node(node, "findmnt --noheadings --output=SOURCE,FSTYPE /var/lib/etcd").split()

    assert mounted[0].startswith("/dev/loop")
    assert mounted[1] == "ext4"


@pytest.mark.parametrize("node", NODES)
def test_registry_gives_images_and_takes_none(stack: LabStack, node: str) -> None:
    ask = "curl -sS --output /dev/null --write-out '%{http_code}'"
    give = f"{ask} http://localhost:5000/v2/example-app/tags/list"
    take = f"{ask} --request POST http://localhost:5000/v2/example-app/blobs/uploads/"

    assert stack.node(node, give) == "200"
    assert stack.node(node, take) == "405"


def test_registry_listens_on_loopback_only(stack: LabStack) -> None:
    listening = stack.node("core-0", "ss --no-header --listening --tcp --numeric 'sport = :5000'")

    assert [line.split()[3] for line in listening.splitlines()] == ["127.0.0.1:5000"]


def test_instances_run_an_image_by_digest_from_their_nodes_registry(stack: LabStack) -> None:
    list_images = (
        "docker ps --quiet --filter label=fleet.service=hello | "
        "xargs --no-run-if-empty docker inspect --format '{{.Config.Image}}'"
    )

    images = [image for node in NODES for image in stack.node(node, list_images).split()]

    assert len(images) == 2
    assert all(image.startswith("localhost:5000/example-app@sha256:") for image in images)


def test_each_node_runs_one_instance(stack: LabStack) -> None:
    machines = [one["machine"] for one in stack.instances()]

    assert len(machines) == len(set(machines)) == 2


def test_a_node_lacks_what_flatcar_lacks(stack: LabStack) -> None:
    opened = stack.try_node("core-0", "bash -c 'exec 3<>/dev/tcp/127.0.0.1/22'")
    found = stack.try_node("core-0", "command -v python3 perl apt-get")

    assert "/dev/tcp/127.0.0.1/22: No such file or directory" in opened.stderr
    assert found.stdout == ""
    assert stack.try_node("core-0", "nc -z -w 3 127.0.0.1 22").returncode == 0
