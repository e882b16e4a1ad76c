"""The rendered units, read by the real systemd and by the cluster program's reading of fleet."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from clients.fleet import unit_file
from components.rendering.artefacts import Artefacts
from components.rendering.requests import apply_request, platform_request, route
from components.rendering.units import (
    announce_unit,
    app_unit,
    command_argument,
    platform_unit,
)
from contract.codec import encode
from contract.requests import ApplyService, Platform, read_request
from settings import InstanceSet
from settings.fields import fits_a_unit
from settings.service import Limits
from tests.program import rendered
from tests.program.rendered import FULL, REFERENCES, VOICE, WEB
from tests.program.snapshot import assert_matches
from tests.program.systemd_words import words


@pytest.mark.parametrize("name", sorted(rendered.fleet_units()))
def test_the_rendered_text_matches_the_snapshot(name: str) -> None:
    if "@2" not in name:
        assert_matches(name, rendered.fleet_units()[name])


def test_systemd_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    cloud_config = yaml.safe_load(rendered.cloud_config())
    of_the_node = {
        unit["name"]: unit["content"]
        for unit in cloud_config["coreos"]["units"]
        if "content" in unit
    }

    assert _complaints({**of_the_node, **rendered.fleet_units()}, tmp_path) == ""


def test_systemd_does_complain_about_a_wrong_unit(tmp_path: Path) -> None:
    wrong = {"wrong.service": "[Service]\nExecStart=/bin/true\nRestrat=always\n"}

    assert "Restrat" in _complaints(wrong, tmp_path)


@pytest.mark.parametrize("name", sorted(rendered.fleet_units()))
def test_fleet_reads_it(name: str) -> None:
    unit_file.check_name(name)

    options = unit_file.parse(rendered.fleet_units()[name], origin=name)

    assert {option.section for option in options} <= {"Unit", "Service", "X-Fleet"}


@pytest.mark.parametrize("name", sorted(rendered.fleet_units()))
def test_systemd_starts_it_again_without_limit(name: str) -> None:
    options = _options(rendered.fleet_units()[name])

    # a sidekick has no process: systemd starts it again only if its start fails
    assert options["Restart"] == ("on-failure" if "-announce@" in name else "always")
    assert options["StartLimitIntervalSec"] == "0"


@given(st.text(max_size=200).filter(fits_a_unit))
@example("play --%prod")
@example("cron can't")
@example("pa$$word $HOME ${HOME}")
@example("C:\\dir\\")
@example('a"b #c ;d')
def test_systemd_gives_the_container_each_variable_exactly_as_configured(value: str) -> None:
    service = replace(WEB, env={"VALUE": value})

    command = _options(app_unit(service, {}))["ExecStart"]

    assert f"VALUE={value}" in words(command, {"NODE_IP": "10.20.0.4", "NODE_NAME": "core-0"})


@pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\U0001fffe", "\ufdd0", "\ufdef"])
def test_characters_for_which_systemd_ignores_a_line_never_reach_a_unit(character: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        command_argument(f"x{character}y")


@given(st.text(st.characters(categories=("Cc", "Zl", "Zp")), min_size=1))
def test_control_characters_never_reach_a_unit(value: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        command_argument(value)


def test_the_longest_variable_that_settings_allow_fits_into_fleets_lines() -> None:
    service = replace(WEB, env={"N" * 64: '"' * 900})

    unit_file.parse(app_unit(service, {}), origin="longest")


def test_ports_are_published_by_the_script_that_counts_them() -> None:
    command = words(_options(app_unit(VOICE, {}))["ExecStart"], {})

    assert command[:7] == [
        "/opt/bin/container-run",
        "<%n>",
        "<%p>-<%i>",
        "64738/tcp",
        "64738/udp",
        "64739/udp",
        "--",
    ]
    assert "--publish" not in command


def test_a_port_that_serves_twice_is_published_once() -> None:
    assert WEB.http
    service = replace(WEB, tcp=(WEB.http.port,))

    assert app_unit(service, {}).count("8080/tcp") == 1


def test_limits_reach_docker() -> None:
    service = replace(WEB, limits=Limits(memory="64m", cpus=0.25))

    command = _options(app_unit(service, {}))["ExecStart"]

    assert "--memory 64m" in command
    assert "--cpus 0.25" in command


def test_instances_of_a_release_are_spread_unless_the_service_says_otherwise() -> None:
    assert _options(app_unit(WEB, {}))["Conflicts"] == "%p@*.service"
    assert "Conflicts" not in _options(app_unit(VOICE, {}))


def test_the_sidekick_lives_and_dies_with_its_instance_on_the_same_machine() -> None:
    options = _options(announce_unit(WEB, 10))
    instance = "api-__RELEASE__@%i.service"

    # not BindsTo: after a crash of the instance systemd would not start the sidekick again
    assert options["PartOf"] == options["MachineOf"] == instance
    assert instance in options["After"].split()


def test_the_sidekick_has_time_to_drain_before_systemd_kills_it() -> None:
    options = _options(announce_unit(WEB, 120))

    # the announcer waits for routers (10 s) and drains
    assert int(options["TimeoutStopSec"]) > 120 + 10


def test_rewording_a_comment_is_no_new_release() -> None:
    for unit in rendered.fleet_units().values():
        assert not [line for line in unit.splitlines() if line.startswith("#")]


def test_changing_the_number_of_instances_is_no_new_release() -> None:
    more = replace(WEB, instances=7)

    assert app_unit(more, {}) == app_unit(WEB, {})
    assert announce_unit(more, 10) == announce_unit(WEB, 10)


@pytest.mark.parametrize("service", [WEB, VOICE, FULL])
def test_the_cluster_reads_a_services_request(service: InstanceSet) -> None:
    request = apply_request(service, drain_seconds=10, references=REFERENCES)

    assert read_request(ApplyService, encode(request)) == request


def test_the_cluster_reads_the_platforms_request(built: Artefacts) -> None:
    understood = read_request(Platform, encode(platform_request(built)))

    assert set(understood.images) == {"cluster", "registry", "router"}
    assert list(understood.units) == ["announcer", "registry", "router"]


def test_a_platform_unit_runs_the_image_that_it_has_fetched() -> None:
    unit = platform_unit("router", "0123456789abcdef" * 4)

    assert f"/opt/bin/platform-image ensure router {'0123456789abcdef' * 4}" in unit
    assert "fleet/router:sha-0123456789ab\n" in unit


def test_stored_routes_stay_as_routers_of_earlier_releases_read_them() -> None:
    assert json.loads(encode(route(WEB))) == {
        "hosts": ["api.tok.tv"],
        "http": True,
        "health": "/health",
        "tcp": [],
        "udp": [],
        "sticky": False,
        "https_redirect": False,
        "underscore_headers": False,
        "customer": None,
    }
    assert json.loads(encode(route(VOICE)))["http"] is False
    assert json.loads(encode(route(VOICE)))["udp"] == [{"port": 64738}, {"port": 64739}]
    customers = route(FULL)
    assert (customers.sticky, customers.https_redirect, customers.underscore_headers) == (True,) * 3
    assert customers.customer == "acme"


def _options(unit: str) -> dict[str, str]:
    return {option.name: option.value for option in unit_file.parse(unit, origin="unit")}


def _complaints(units: Mapping[str, str], folder: Path) -> str:
    """What `systemd-analyze verify` says. Programs of nodes are there, as empty scripts."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in units.items():
        for program in re.findall(r"/(?:opt|usr)/bin/([\w-]+)", text):
            (programs / program).write_text("#!/bin/sh\n")
            (programs / program).chmod(0o755)
        (folder / name).write_text(re.sub(r"/(opt|usr)/bin/", f"{programs}/", text))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(folder / name) for name in units)],
        capture_output=True,
        text=True,
    )
    return checked.stderr
