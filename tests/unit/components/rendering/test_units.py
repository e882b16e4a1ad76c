"""What of a service's secrets, health checks and memory reaches its units, and what must not."""

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clients.fleet import unit_file
from components.rendering.requests import START_TIMEOUT, apply_request, certificates_request
from components.rendering.units import announce_unit, app_unit, platform_unit, registration
from contract.codec import as_json
from contract.registration import FOLDER, read_registration
from settings import Certificate, Health, InstanceSet
from settings.documentation import page
from settings.fields import fits_a_unit
from settings.service import Http
from tests.program.rendered import FULL, REFERENCES, VOICE, WEB
from tests.program.systemd_words import words

TIMES = {
    "start_period": "3",
    "interval": "3",
    "timeout": "3",
    "healthy_threshold": "1",
    "unhealthy_threshold": "2",
}
WEB_HEALTH = {"kind": "http", "port": "8080", "path": "/health", "host": "api.tok.tv", **TIMES}
VOICE_HEALTH = {"kind": "tcp", "port": "64738", **TIMES}


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

    def test_the_container_gets_secrets_as_files_with_their_paths(self) -> None:
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

    def test_a_service_without_secrets_requests_none(self) -> None:
        unit = app_unit(WEB, {})

        assert "secret" not in unit


class TestHealth:
    def of(self, service: InstanceSet) -> dict[str, str]:
        """How an instance is checked, by what its sidekick tells the announcer."""
        prefix = "health_"
        return {
            name.removeprefix(prefix): value
            for name, value in form_of(service).items()
            if name.startswith(prefix)
        }

    def test_ports_decide_how_a_service_without_a_health_block_is_checked(self) -> None:
        assert self.of(WEB) == WEB_HEALTH
        assert self.of(VOICE) == VOICE_HEALTH
        assert self.of(replace(VOICE, tcp=())) == {"kind": "container", **TIMES}

    @pytest.mark.parametrize(
        ("key", "field"),
        [
            ("startPeriod", "start_period"),
            ("interval", "interval"),
            ("timeout", "timeout"),
            ("healthyThreshold", "healthy_threshold"),
            ("unhealthyThreshold", "unhealthy_threshold"),
        ],
    )
    def test_one_key_of_the_health_block_changes_only_that_value(
        self, key: str, field: str
    ) -> None:
        service = replace(WEB, health=Health.model_validate({key: 5}))

        assert self.of(service) == {**self.of(WEB), field: "5"}

    def test_the_configuration_page_shows_the_values_that_are_sent(self) -> None:
        _, _, table = page().partition("## `health`")
        shown = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| `(\d+)` \|", table, re.MULTILINE))

        sent = self.of(WEB)
        assert {
            "start_period": shown["startPeriod"],
            "interval": shown["interval"],
            "timeout": shown["timeout"],
            "healthy_threshold": shown["healthyThreshold"],
            "unhealthy_threshold": shown["unhealthyThreshold"],
        } == {name: sent[name] for name in TIMES}

    def test_a_check_names_a_host_that_the_service_serves(self) -> None:
        """Frameworks that check `Host` refuse the instance's address."""
        http = Http(port=8080, hosts=("shop.example", "api.example"))
        customer = replace(FULL, health=Health())

        assert self.of(replace(WEB, http=http))["host"] == "shop.example"
        assert self.of(customer)["host"] == "acme.example"
        assert self.of(replace(WEB, http=Http()))["host"] == "localhost"

    def test_a_path(self) -> None:
        assert self.of(replace(WEB, health=Health(http="/up"))) == WEB_HEALTH | {"path": "/up"}

    def test_a_port_which_the_announcer_must_reach(self) -> None:
        service = replace(WEB, health=Health(tcp=9000))

        assert self.of(service) == {"kind": "tcp", "port": "9000", **TIMES}
        command = words(_value(app_unit(service, {}), "ExecStart"), {})
        assert command[3 : command.index("--")] == ["8080/tcp", "9000/tcp"]

    def test_a_command_arrives_exactly_as_written(self) -> None:
        assert FULL.health.command
        assert self.of(FULL) == {
            "kind": "command",
            "command": FULL.health.command,
            **TIMES,
            "start_period": "90",
        }

    @pytest.mark.parametrize(
        ("service", "expected"),
        [
            (WEB, WEB_HEALTH),
            (VOICE, VOICE_HEALTH),
            (replace(VOICE, tcp=()), {"kind": "container", **TIMES}),
        ],
    )
    def test_without_a_kind_of_check_the_services_ports_decide(
        self, service: InstanceSet, expected: dict[str, str]
    ) -> None:
        health = Health.model_validate({"interval": 5, "unhealthyThreshold": 9})

        assert self.of(replace(service, health=health)) == expected | {
            "interval": "5",
            "unhealthy_threshold": "9",
        }

    @given(st.text(min_size=1).filter(fits_a_unit))
    @example("play --%prod")
    @example("cron can't")
    @example("pa$$word $HOME ${HOME}")
    @example("C:\\dir\\")
    @example('a"b #c ;d')
    def test_the_announcer_gets_any_command_as_it_is(self, command: str) -> None:
        health = Health.model_construct(command=command)

        assert self.of(replace(WEB, health=health))["command"] == command

    @pytest.mark.parametrize("service", [WEB, VOICE, FULL, replace(WEB, health=Health(tcp=9000))])
    def test_the_announcer_understands_what_a_sidekick_tells_it(self, service: InstanceSet) -> None:
        assert read_registration(form_of(service)) == registration(service, 10)

    def test_a_sidekick_unregisters_with_the_name_of_its_registration(self) -> None:
        unit = announce_unit(WEB, 10)
        start, stop = (words(_value(unit, name), {}) for name in ("ExecStart", "ExecStop"))

        assert start[-1] == stop[-1] == "http://announcer/sidekicks/<%n>"
        assert _value(unit, "ExecStopPost") == f"-/usr/bin/rm -f {FOLDER}/%n"

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


def test_a_customers_container_gets_the_customers_name() -> None:
    assert "--env CUSTOMER=acme " in app_unit(FULL, REFERENCES)
    assert "CUSTOMER" not in app_unit(WEB, {})


def test_routers_get_the_references_of_certificates() -> None:
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


def form_of(service: InstanceSet) -> dict[str, str]:
    """What curl sends when a sidekick starts."""
    command = words(_value(announce_unit(service, 10), "ExecStart"), {})
    pairs = itertools.pairwise(command)
    sent = (word for option, word in pairs if option == "--data-urlencode")
    return dict(field.replace("<%i>", "%i").split("=", 1) for field in sent)


def _value(unit: str, name: str) -> str:
    (found,) = _values(unit, name)
    return found
