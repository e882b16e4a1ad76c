"""What docker's description says about an instance, and what an answer's first bytes say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contract.registration import HealthCheck, Registration
from sidekick.checks import final_status
from sidekick.container import NotServing, read_container

HEALTH = HealthCheck(
    kind="tcp",
    port=9000,
    start_period=3,
    interval=3,
    timeout=3,
    healthy_threshold=1,
    unhealthy_threshold=2,
)
VOICE = Registration(
    service="voice", instance="0badcafe-1", tcp=(64738,), udp=(64738,), health=HEALTH, drain=10
)


def inspected(**state: Any) -> dict[str, Any]:
    ports = {
        "64738/tcp": [{"HostIp": "10.0.0.4", "HostPort": "32768"}],
        "64738/udp": [{"HostIp": "10.0.0.4", "HostPort": "32769"}],
        "9000/tcp": [{"HostIp": "10.0.0.4", "HostPort": "32770"}],
        "9001/tcp": None,
    }
    return {
        "State": {"Running": True, "Pid": 42, "ExitCode": 0} | state,
        "NetworkSettings": {"Ports": ports},
    }


def test_addresses_are_the_nodes() -> None:
    container = read_container(inspected(), VOICE, "10.0.0.4")

    assert container.pid == 42
    assert container.http is None
    assert container.tcp == {64738: "10.0.0.4:32768"}
    assert container.udp == {64738: "10.0.0.4:32769"}
    assert container.probe == "10.0.0.4:32770"


def test_ended_container_is_reported_with_its_exit_code() -> None:
    with pytest.raises(NotServing, match="container voice-0badcafe-1 ended with exit code 3"):
        read_container(inspected(Running=False, ExitCode=3), VOICE, "10.0.0.4")


@pytest.mark.parametrize("port", [9001, 9002])
def test_port_that_is_not_published_is_named(port: int) -> None:
    service = replace(VOICE, health=replace(HEALTH, port=port))

    with pytest.raises(NotServing, match=f"port {port}/tcp is not published"):
        read_container(inspected(), service, "10.0.0.4")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", None),
        (b"HTTP/1.1 200", None),
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.0 404\n", 404),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n", 204),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 Busy\r\n", 503),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n", None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None),
    ],
)
def test_status_of_an_answer(head: bytes, status: int | None) -> None:
    assert final_status(head) == status
