"""The secrets of services are with their containers and in the vault, and nowhere else."""

from __future__ import annotations

import json

import pytest

from lab.machine.paths import state_root
from lab.pulumi import sample_secrets
from tests.lab.hiding_places import PLACES, leaked, material
from tests.lab.stack import LabStack, succeeded
from tests.lab.web import Browser
from tests.visitors.dokuwiki import sign_in


@pytest.fixture(scope="module")
def secrets(docebo: LabStack, toktv: LabStack) -> dict[str, list[str]]:
    """Every secret of both stacks, by lines that can't occur by chance."""
    values = {**sample_secrets.made_up(docebo.name), **sample_secrets.made_up(toktv.name)}
    assert len(values) == 5
    return {
        name: material(value) if "-----BEGIN" in value else [value]
        for name, value in values.items()
    }


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_on_a_node_outside_its_file(
    docebo: LabStack, toktv: LabStack, secrets: dict[str, list[str]], place: str
) -> None:
    for stack in (docebo, toktv):
        for node in stack.nodes:
            text = stack.try_node(node, PLACES[place]).stdout

            assert len(text) > 40, "this looked at something"
            assert leaked(text, secrets) == []


def test_a_secrets_file_is_for_its_containers_users_and_in_memory(docebo: LabStack) -> None:
    one = docebo.instances("lms-acme")[0]
    file = f"/run/fleet-secrets/instances/lms-acme-{one['release']}-{one['n']}/ADMIN_PASSWORD"
    value = sample_secrets.made_up(docebo.name)["acme-admin"]

    on_node = docebo.node(one["machine"], f"sudo stat --format='%U %a' {file}").split()
    folder = docebo.node(one["machine"], f"sudo stat --file-system --format=%T $(dirname {file})")
    content = docebo.node(one["machine"], f"sudo cat {file}")
    container = f"lms-acme-{one['release']}-{one['n']}"
    read = f"docker exec --user nobody {container} cat /run/secrets/ADMIN_PASSWORD"

    assert on_node == ["root", "444"]
    assert docebo.node(one["machine"], read) == value
    assert docebo.try_node(one["machine"], f"cat {file}").returncode != 0, "core is not root"
    assert folder.strip() == "tmpfs"
    assert content == value


def test_pulumi_encrypts_secrets_and_shows_none(
    docebo: LabStack, toktv: LabStack, secrets: dict[str, list[str]]
) -> None:
    files = [path for path in (state_root() / "stacks").rglob("*") if path.is_file()]
    texts = [path.read_text(errors="replace") for path in files]
    for stack in (docebo, toktv):
        texts.append(json.dumps(stack.engine.state()))
        texts.append(succeeded(stack.pulumi("preview", "--diff")))

    assert len(texts) > 6
    assert [found for text in texts for found in leaked(text, secrets)] == []


def test_a_changed_secret_rolls_out_only_its_users(docebo: LabStack) -> None:
    before = docebo.starts("lms")
    try:
        docebo.set_secret("acme-admin", "another-password")
        docebo.up()
        after = docebo.starts("lms")
        with Browser(docebo, "https://acme.docebo.example") as admin:
            admin.follow_redirects = True
            page = sign_in(admin, "another-password").text
    finally:
        docebo.configure()
        docebo.up()

    assert {unit.split("-")[1] for unit, _ in before.items() ^ after.items()} == {"acme"}
    assert "do=logout" in page


def test_a_removed_customers_secrets_are_deleted(docebo: LabStack) -> None:
    for node in docebo.nodes:
        folders = docebo.node(node, "sudo ls /run/fleet-secrets/instances 2>/dev/null; true")
        running = docebo.node(node, "docker ps --format '{{.Names}}'").split()

        assert set(folders.split()) <= set(running)
