"""The rendered cloud-config, read by the real coreos-cloudinit and by Flatcar's stricter rules."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.rendering import cloud_config
from components.scale_set import encoded
from tests.program import rendered
from tests.program.recorded_stack import PROJECT
from tests.program.snapshot import assert_matches
from tools import build

SCRIPTS = PROJECT / "cloud-config" / "bin"


@pytest.fixture(scope="module")
def text() -> str:
    return rendered.cloud_config()


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.fixture(scope="module")
def units(document: dict[str, Any]) -> dict[str, str]:
    return {
        unit["name"]: unit["content"] for unit in document["coreos"]["units"] if "content" in unit
    }


def test_the_rendered_text_matches_the_snapshot(text: str) -> None:
    assert_matches("cloud-config.yaml", text)


def test_the_real_coreos_cloudinit_accepts_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "custom-data"
    file.write_text(text)
    program = build.ensure_program("coreos-cloudinit") / "coreos-cloudinit"

    checked = subprocess.run(
        [program, "-validate", f"-from-file={file}"], capture_output=True, text=True
    )

    assert checked.returncode == 0, checked.stderr


def test_the_cloud_config_is_well_below_the_size_limit(text: str) -> None:
    assert text.startswith("#cloud-config\n")
    assert len(encoded(text)) < 32_000


def test_an_undefined_variable_is_an_error() -> None:
    with pytest.raises(Exception, match="is undefined"):
        cloud_config.rendered(cluster_name="fleet-dev")


def test_the_only_command_does_not_block(document: dict[str, Any]) -> None:
    commands = {
        unit["name"]: unit["command"] for unit in document["coreos"]["units"] if "command" in unit
    }

    assert commands == {"node.target": "start"}
    assert "DefaultDependencies=no" in str(document)


def test_nothing_waits_for_multi_user_target(units: dict[str, str]) -> None:
    # multi-user.target waits for coreos-cloudinit, which waits for the command
    assert "multi-user.target" not in "".join(units.values())


def test_scripts_and_programs_have_absolute_paths_in_opt(units: dict[str, str]) -> None:
    for name, unit in units.items():
        for command in re.findall(r"^Exec\w+=[+-]?(\S+)", unit, re.MULTILINE):
            assert command.startswith(("/opt/bin/", "/usr/bin/env")), (name, command)


def test_every_script_that_a_unit_calls_is_there(units: dict[str, str]) -> None:
    scripts = {path.name for path in SCRIPTS.iterdir()}
    from_programs = {"etcd", "fleetd"}

    called = set(re.findall(r"/opt/bin/([\w-]+)", "".join(units.values())))

    assert called <= scripts | from_programs


def test_scripts_before_the_bundle_use_nothing_from_it() -> None:
    for name in cloud_config.BOOT_SCRIPTS:
        called = set(re.findall(r"/opt/bin/([\w-]+)", (SCRIPTS / name).read_text()))

        assert called <= set(cloud_config.BOOT_SCRIPTS), name


def test_dockers_configuration_keeps_containers_during_a_restart(
    document: dict[str, Any],
) -> None:
    (daemon,) = (f for f in document["write_files"] if f["path"] == "/etc/docker/daemon.json")

    configuration = json.loads(daemon["content"])

    assert configuration["live-restore"] is True
    assert configuration["log-opts"] == {"max-size": "10m", "max-file": "3"}


def test_the_journal_drops_no_line_of_a_container_because_another_is_noisy(
    document: dict[str, Any],
) -> None:
    """Its limit counts by unit, and what containers print comes from docker's."""
    (docker,) = (unit for unit in document["coreos"]["units"] if unit["name"] == "docker.service")
    (drop_in,) = docker["drop_ins"]

    settings = dict(line.split("=", 1) for line in drop_in["content"].splitlines() if "=" in line)

    # not an interval of 0: to systemd that is the default, 10,000 lines in 30 s
    assert settings["LogRateLimitIntervalSec"] == "1s"
    assert int(settings["LogRateLimitBurst"]) >= 1_000_000


def test_docker_and_systemd_read_the_same_values_from_the_node_file(
    document: dict[str, Any],
) -> None:
    (node,) = (f for f in document["write_files"] if f["path"] == "/etc/fleet-node.conf")

    for line in node["content"].splitlines():
        name, _, value = line.partition("=")
        assert re.fullmatch("[A-Z][A-Z0-9_]*", name)
        assert value
        assert shlex.quote(value) == value


def test_a_restart_of_etcd_or_docker_leaves_fleet_and_its_units_alone(
    units: dict[str, str],
) -> None:
    required = re.search(r"^Requires=(.*)$", units["fleet.service"], re.MULTILINE)
    assert required

    assert not {"etcd.service", "docker.service"} & set(required[1].split())
