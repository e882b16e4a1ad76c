"""The script that brings an instance its secrets, against a vault that may not give them."""

import subprocess

import pytest

from tests.program.node_folder import NodeFolder

FOLDER = "/run/fleet-secrets/instances/api-0a1b2c3d-1"
VERSIONED = "service-db-1a2b3c/0123456789abcdef"
VALUE = 'two "words"\nand a line without an end: ü $x %i'


@pytest.fixture(autouse=True)
def _vault(node: NodeFolder) -> None:
    node.azure.secrets = {VERSIONED: VALUE, "service-key-4d5e6f/fedcba": "key"}


def fetch(node: NodeFolder, *wanted: str) -> subprocess.CompletedProcess[str]:
    return node.run("instance-secrets", "api-0a1b2c3d-1", *wanted)


def test_each_secret_is_a_file_with_exactly_its_value(node: NodeFolder) -> None:
    done = fetch(node, f"DB_PASSWORD={VERSIONED}", "KEY=service-key-4d5e6f/fedcba")

    assert done.returncode == 0, done.stderr
    assert node.file(f"{FOLDER}/DB_PASSWORD").read_text() == VALUE
    assert node.file(f"{FOLDER}/KEY").read_text() == "key"
    assert sorted(one.name for one in node.file(FOLDER).iterdir()) == ["DB_PASSWORD", "KEY"]


def test_secrets_are_readable_in_the_container_and_by_root_only_on_the_node(
    node: NodeFolder,
) -> None:
    fetch(node, f"DB_PASSWORD={VERSIONED}")

    # what is mounted is the folder; who is not root never gets as far as there on the node
    assert node.file(FOLDER).stat().st_mode & 0o777 == 0o555
    assert node.file(f"{FOLDER}/DB_PASSWORD").stat().st_mode & 0o777 == 0o444
    assert node.file(FOLDER).parent.stat().st_mode & 0o777 == 0o700


def test_files_of_a_crashed_instance_are_removed(node: NodeFolder) -> None:
    node.write(f"{FOLDER}/OLD", "old")

    assert fetch(node, f"DB_PASSWORD={VERSIONED}").returncode == 0

    assert not node.file(f"{FOLDER}/OLD").exists()


def test_it_waits_for_a_vault_that_does_not_answer_yet(node: NodeFolder) -> None:
    node.azure.refusals = 3

    done = fetch(node, f"DB_PASSWORD={VERSIONED}")

    assert done.returncode == 0
    assert done.stderr.count("error: no secret service-db-1a2b3c in http://") == 3


def test_a_missing_secret_prevents_the_start_and_leaves_no_files(
    node: NodeFolder,
) -> None:
    script = node.file("/opt/bin/instance-secrets")
    script.write_text(script.read_text().replace("SECONDS + 60", "SECONDS - 1"))

    done = fetch(node, f"DB_PASSWORD={VERSIONED}", "GONE=service-gone-1a2b3c/0")

    assert done.returncode == 1
    assert "error: no secret service-gone-1a2b3c in http://" in done.stderr
    assert "error: not all secrets of api-0a1b2c3d-1 after a minute" in done.stderr
    assert not node.file(FOLDER).exists()


def test_neither_token_nor_value_is_seen_on_a_command_line_or_in_a_log(node: NodeFolder) -> None:
    for program in ("curl", "jq", "chmod", "mv"):
        node.play(program, f'exec /usr/bin/{program} "$@"')
    node.azure.refusals = 1

    done = fetch(node, f"DB_PASSWORD={VERSIONED}")

    told = "".join([*node.calls, done.stdout, done.stderr])
    assert "curl" in told
    assert "Bearer" not in told
    assert "words" not in told


def test_wrong_arguments_print_the_usage(node: NodeFolder) -> None:
    done = fetch(node)

    assert done.returncode != 0
    assert "usage: instance-secrets INSTANCE NAME=SECRET/VERSION..." in done.stderr
