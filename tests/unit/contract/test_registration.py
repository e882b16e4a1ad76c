"""The form by which a sidekick registers: what one side writes, the other reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contract.codec import Malformed
from contract.registration import HealthCheck, Registration, read_registration

WEB = Registration(
    service="api",
    instance="0badcafe-12",
    http=8080,
    health=HealthCheck(
        kind="http",
        port=8080,
        path="/health",
        host="api.tok.tv",
        start_period=3,
        interval=3,
        timeout=3,
        healthy_threshold=1,
        unhealthy_threshold=2,
    ),
    drain=10,
)
VOICE = replace(
    WEB,
    customer_of="voice",
    http=None,
    tcp=(64738,),
    udp=(64738, 64739),
    health=replace(WEB.health, kind="command", port=0, path="", host="", command="a=b & c"),
)


@pytest.mark.parametrize("registration", [WEB, VOICE])
def test_form_is_read_as_it_was_written(registration: Registration) -> None:
    assert read_registration(registration.form()) == registration


def test_form_leaves_out_what_is_empty() -> None:
    assert "" not in WEB.form().values()
    assert {"tcp", "udp", "customer_of", "health_command"}.isdisjoint(WEB.form())


def test_field_of_a_newer_program_is_ignored() -> None:
    assert read_registration(WEB.form() | {"drain_connections": "300"}) == WEB


@pytest.mark.parametrize("name", ["service", "instance", "drain", "health_kind", "health_interval"])
def test_missing_field_is_named(name: str) -> None:
    form = {key: value for key, value in WEB.form().items() if key != name}

    with pytest.raises(Malformed, match=f"the field '{name}' is missing"):
        read_registration(form)


@pytest.mark.parametrize(
    "wrong", [{"health_kind": "grpc"}, {"drain": "soon"}, {"tcp": "64738,64739"}]
)
def test_value_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        read_registration(WEB.form() | wrong)


def test_instance_names_its_container_and_unit() -> None:
    assert WEB.container == "api-0badcafe-12"
    assert WEB.app_unit == "api-0badcafe@12.service"
