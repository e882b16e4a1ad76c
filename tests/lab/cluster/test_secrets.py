"""No private key anywhere but where it belongs: on the node in files of root's, in the vault."""

from __future__ import annotations

import json

import pytest

from lab.machine.paths import state_root
from tests.lab.hiding_places import PLACES, leaked, material
from tests.lab.stack import LabStack

KEYS = ("admin", "host", "tls")


@pytest.fixture(scope="module")
def secrets(stack: LabStack) -> dict[str, list[str]]:
    """The lines of each private key that can't occur by chance."""
    texts = {
        "admin": stack.outputs["sshPrivateKey"],
        "host": stack.node("core-0", "sudo cat /etc/ssh/ssh_host_ed25519_key"),
        "tls": stack.node("core-0", "sudo cat /run/fleet-secrets/tls.key"),
    }
    return {name: material(text) for name, text in texts.items()}


@pytest.mark.parametrize("place", PLACES)
def test_no_private_key_on_a_node_outside_its_file(
    stack: LabStack, secrets: dict[str, list[str]], place: str
) -> None:
    text = stack.try_node("core-0", PLACES[place]).stdout

    assert len(text) > 40, "this looked at something"
    assert leaked(text, secrets) == []


@pytest.mark.parametrize("path", ["/etc/ssh/ssh_host_ed25519_key", "/run/fleet-secrets/tls.key"])
def test_private_keys_are_for_root_only(stack: LabStack, path: str) -> None:
    assert stack.node("core-1", f"sudo stat --format='%U %a' {path}").split() == ["root", "600"]


def test_pulumis_state_holds_secrets_encrypted(
    stack: LabStack, secrets: dict[str, list[str]]
) -> None:
    files = [path for path in (state_root() / "stacks").rglob("*") if path.is_file()]
    texts = [
        json.dumps(stack.engine.state()),
        *(path.read_text(errors="replace") for path in files if stack.name in str(path)),
    ]

    assert len(texts) > 1
    assert [found for text in texts for found in leaked(text, secrets)] == []
    assert not any("PRIVATE KEY-----" in text for text in texts)


def test_pulumi_shows_no_secret(stack: LabStack, secrets: dict[str, list[str]]) -> None:
    texts = [
        stack.pulumi("stack", "output", "--json").stdout,
        stack.lab("preview", stack.name).stdout,
    ]

    assert all(len(text) > 40 for text in texts)
    assert [found for text in texts for found in leaked(text, secrets)] == []


def test_an_app_gets_nothing_of_its_node(stack: LabStack) -> None:
    instance = stack.instances()[0]
    container = f"hello-{instance['release']}-{instance['n']}"
    look = f"docker exec {container} cat /proc/mounts"

    mounts = stack.node(instance["machine"], look)

    assert "/etc/hostname" in mounts, "this looked at something"
    for path in ("fleet-secrets", "docker.sock", "fleet.sock", "node.env", "/etc/ssl", "/opt"):
        assert path not in mounts
