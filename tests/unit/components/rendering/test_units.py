"""What of a service's secrets, health checks and memory reaches its units, and what must not."""

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clients.fleet import unit_file
from components.rendering.requests import START_TIMEOUT, apply_request, certificates_request
from components.rendering.units import announce_unit, app_unit, environment, platform_unit
from contract.codec import as_json
from settings import Certificate, Health, InstanceSet
from settings.documentation import page
from settings.fields import fits_a_unit
from settings.service import Http
from tests.program.node_folder import SCRIPTS
from tests.program.rendered import FULL, REFERENCES, VOICE, WEB
from tests.program.systemd_words import assignments, words

WEB_HEALTH = {"HEALTH_KIND": "http", "HEALTH_PATH": "/health", "HEALTH_HOST": "api.tok.tv"}
TIMES = {
    "HEALTH_START_PERIOD": "3",
    "HEALTH_INTERVAL": "3",
    "HEALTH_TIMEOUT": "3",
    "HEALTHY_THRESHOLD": "1",
    "UNHEALTHY_THRESHOLD": "2",
}


class TestSecrets:
    def test_they_are_fetched_in_their_version_before_the_container_starts(self) -> None:
        before = _values(app_unit(FULL, REFERENCES), "ExecStartPre")

        *_, fetch = before
        assert words(fetch, {}) == [
            "/opt/bin/instance-secrets",
            "<%p>-<%i>",
            f"DB_PASSWORD={REFERENCES['acme-password']}",
            f"KEY={REFERENCES['key']}",
        ]

    def test_the_container_sees_files_and_where_they_are(self) -> None:
        command = words(_value(app_unit(FULL, REFERENCES), "ExecStart"), {})

        assert "/run/fleet-secrets/instances/<%p>-<%i>:/run/secrets:ro" in command
        assert "DB_PASSWORD_FILE=/run/secrets/DB_PASSWORD" in command
        assert "KEY_FILE=/run/secrets/KEY" in command

    def test_the_files_go_when_the_instance_stops(self) -> None:
        *_, after = _values(app_unit(FULL, REFERENCES), "ExecStopPost")

        # also when it crashed, or never started
        assert after == "-/usr/bin/rm -rf /run/fleet-secrets/instances/%p-%i"

    def test_another_version_is_another_release(self) -> None:
        changed = REFERENCES | {"key": "service-key-4d5e6f/another"}

        assert app_unit(FULL, changed) != app_unit(FULL, REFERENCES)
        assert app_unit(WEB, changed) == app_unit(WEB, REFERENCES)

    def test_a_service_without_any_asks_for_none(self) -> None:
        unit = app_unit(WEB, {})

        assert "secret" not in unit


class TestHealth:
    def of(self, service: InstanceSet) -> dict[str, str]:
        lines = _values(announce_unit(service, 10), "Environment")
        told = dict(each.split("=", 1) for line in lines for each in assignments(line))
        return {name: value for name, value in told.items() if "HEALTH" in name}

    def test_ports_decide_how_a_service_without_a_health_block_is_checked(self) -> None:
        assert self.of(WEB) == {**WEB_HEALTH, **TIMES}
        assert self.of(VOICE) == {"HEALTH_KIND": "tcp", "HEALTH_PORT": "64738", **TIMES}
        assert self.of(replace(VOICE, tcp=())) == {"HEALTH_KIND": "container", **TIMES}

    @pytest.mark.parametrize(
        ("key", "variable"),
        [
            ("startPeriod", "HEALTH_START_PERIOD"),
            ("interval", "HEALTH_INTERVAL"),
            ("timeout", "HEALTH_TIMEOUT"),
            ("healthyThreshold", "HEALTHY_THRESHOLD"),
            ("unhealthyThreshold", "UNHEALTHY_THRESHOLD"),
        ],
    )
    def test_one_key_of_the_health_block_changes_only_that_value(
        self, key: str, variable: str
    ) -> None:
        service = replace(WEB, health=Health.model_validate({key: 5}))

        assert self.of(service) == {**self.of(WEB), variable: "5"}

    def test_the_configuration_page_shows_the_values_that_are_sent(self) -> None:
        _, _, table = page().partition("## `health`")
        shown = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| `(\d+)` \|", table, re.MULTILINE))

        sent = self.of(WEB)
        assert {
            "HEALTH_START_PERIOD": shown["startPeriod"],
            "HEALTH_INTERVAL": shown["interval"],
            "HEALTH_TIMEOUT": shown["timeout"],
            "HEALTHY_THRESHOLD": shown["healthyThreshold"],
            "UNHEALTHY_THRESHOLD": shown["unhealthyThreshold"],
        } == {name: sent[name] for name in TIMES}

    def test_a_check_names_a_host_that_the_service_serves(self) -> None:
        """Frameworks that check `Host` refuse the instance's address."""
        http = Http(port=8080, hosts=("shop.example", "api.example"))
        customer = replace(FULL, health=Health())

        assert self.of(replace(WEB, http=http))["HEALTH_HOST"] == "shop.example"
        assert self.of(customer)["HEALTH_HOST"] == "acme.example"
        assert self.of(replace(WEB, http=Http()))["HEALTH_HOST"] == "localhost"

    def test_a_path(self) -> None:
        assert self.of(replace(WEB, health=Health(http="/up"))) == {
            **WEB_HEALTH,
            "HEALTH_PATH": "/up",
            **TIMES,
        }

    def test_a_port_which_the_sidekick_must_reach(self) -> None:
        service = replace(WEB, health=Health(tcp=9000))

        assert self.of(service) == {"HEALTH_KIND": "tcp", "HEALTH_PORT": "9000", **TIMES}
        command = words(_value(app_unit(service, {}), "ExecStart"), {})
        assert command[3 : command.index("--")] == ["8080/tcp", "9000/tcp"]

    def test_a_command_exactly_as_it_is_written(self) -> None:
        assert self.of(FULL) == {
            "HEALTH_KIND": "command",
            "HEALTH_COMMAND": FULL.health.command,
            **TIMES,
            "HEALTH_START_PERIOD": "90",
        }

    @pytest.mark.parametrize(
        ("service", "expected"),
        [
            (WEB, WEB_HEALTH),
            (VOICE, {"HEALTH_KIND": "tcp", "HEALTH_PORT": "64738"}),
            (replace(VOICE, tcp=()), {"HEALTH_KIND": "container"}),
        ],
    )
    def test_times_alone_leave_the_kind_to_the_services_ports(
        self, service: InstanceSet, expected: dict[str, str]
    ) -> None:
        health = Health.model_validate({"interval": 5, "unhealthyThreshold": 9})

        assert self.of(replace(service, health=health)) == {
            **expected,
            **TIMES,
            "HEALTH_INTERVAL": "5",
            "UNHEALTHY_THRESHOLD": "9",
        }

    @given(st.text().filter(fits_a_unit))
    @example("play --%prod")
    @example("cron can't")
    @example("pa$$word $HOME ${HOME}")
    @example("C:\\dir\\")
    @example('a"b #c ;d')
    def test_systemd_sets_any_command_as_it_is(self, command: str) -> None:
        assert assignments(environment("X", command)) == [f"X={command}"]

    @pytest.mark.parametrize("service", [WEB, VOICE, FULL, replace(WEB, health=Health(tcp=9000))])
    def test_the_sidekick_reads_everything_that_it_is_told(self, service: InstanceSet) -> None:
        script = (SCRIPTS / "announce").read_text()

        assert [name for name in self.of(service) if f"${{{name}:" not in script] == []

    def test_a_rollout_waits_longer_for_a_service_that_starts_slowly(self) -> None:
        slow = replace(WEB, health=Health.model_validate({"startPeriod": 300}))
        many_checks = {"healthyThreshold": 20, "interval": 6, "timeout": 6}
        careful = replace(WEB, health=Health.model_validate(many_checks))

        assert apply_request(WEB, 10, {}).start_timeout == START_TIMEOUT
        assert apply_request(slow, 10, {}).start_timeout > 300
        assert apply_request(careful, 10, {}).start_timeout > 20 * (6 + 6)


def test_folders_in_memory_have_their_size() -> None:
    command = words(_value(app_unit(FULL, REFERENCES), "ExecStart"), {})

    mounted = [after for word, after in itertools.pairwise(command) if word == "--tmpfs"]
    assert mounted == ["/tmp:size=64m", "/var/cache/lms:size=1g"]


def test_everything_that_is_logged_of_an_instance_names_its_service_and_whose_customer_it_is() -> (
    None
):
    for unit in (app_unit(FULL, REFERENCES), announce_unit(FULL, 10)):
        assert _values(unit, "LogExtraFields") == [
            "FLEET_SERVICE=lms-acme",
            "FLEET_CUSTOMER_OF=lms",
        ]
    # docker makes the same fields of these
    command = app_unit(FULL, REFERENCES)
    assert "--label fleet.service=lms-acme " in command
    assert "--label fleet.customer-of=lms " in command
    assert "customer" not in app_unit(WEB, {}).lower()


def test_a_container_does_not_outlive_its_unit() -> None:
    """Not even when the script that watches it is killed, and nothing starts it again."""
    for unit, name in (
        (app_unit(WEB, {}), "%p-%i"),
        (platform_unit("router", "a" * 64), "router-__RELEASE__"),
        (platform_unit("registry", "a" * 64), "registry-__RELEASE__"),
    ):
        assert _values(unit, "ExecStopPost")[0] == f"-/opt/bin/container-end {name}"
        (command,) = _values(unit, "ExecStart")
        assert words(command, {})[:3] == [
            "/opt/bin/container-run",
            "<%n>",
            name.replace("%p-%i", "<%p>-<%i>"),
        ]


def test_a_customers_container_knows_whose_it_is() -> None:
    assert "--env CUSTOMER=acme " in app_unit(FULL, REFERENCES)
    assert "CUSTOMER" not in app_unit(WEB, {})


def test_routers_are_told_where_certificates_are() -> None:
    ours = Certificate.model_validate({"secret": "web-pem"})
    theirs = "https://my-vault.vault.azure.net/secrets/web"

    request = certificates_request(
        {"web": ours, "other": Certificate.model_validate({"keyVaultSecretId": theirs})},
        {"web": ("*.tok.tv", "tok.tv")},
        {"web": "certificate-web-1a2b3c/0123456789abcdef"},
    )

    assert as_json(request) == {
        "certificates": {
            "web": {
                "secret": "certificate-web-1a2b3c",
                "version": "0123456789abcdef",
                "hosts": ["*.tok.tv", "tok.tv"],
            },
            "other": {"secret_id": theirs},
        }
    }


def _values(unit: str, name: str) -> list[str]:
    return [one.value for one in unit_file.parse(unit, origin="unit") if one.name == name]


def _value(unit: str, name: str) -> str:
    (found,) = _values(unit, name)
    return found
