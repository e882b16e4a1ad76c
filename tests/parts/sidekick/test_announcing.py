"""The announcer against a real etcd and a real instance: what it announces, and what it reports."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend, TcpEcho, serving
from tests.parts.router.harness import EtcdServer
from tests.parts.sidekick.announcer import (
    API,
    FAST,
    HTTP,
    INSTANCE,
    UNIT,
    Announcer,
    Sidekick,
    port_of,
)
from tests.parts.sidekick.fake_docker import FakeDocker

VOICE = replace(
    API,
    http=None,
    tcp=(64738,),
    udp=(64738,),
    health=replace(FAST, port=64738),
)
UDP = replace(API, http=None, udp=(64738,), health=replace(FAST, kind="container", port=0))
FAILING = replace(API, health=replace(HTTP, path="/fail-here"))


def test_healthy_instance_is_announced_with_its_published_ports(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app), "64738/tcp": "40001", "64738/udp": "40002"})

    sidekick.start(replace(API, tcp=(64738,), udp=(64738,), health=replace(HTTP, path="/ok")))

    assert sidekick.is_announced() == {
        "http": app.address,
        "tcp": {"64738": "127.0.0.1:40001"},
        "udp": {"64738": "127.0.0.1:40002"},
        "node": "core-0",
        "boot": "",
        "docker": "",
    }


def test_announcement_is_logged_in_the_sidekicks_journal(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})

    sidekick.start(replace(API, customer_of="shop"))

    entry = eventually(lambda: next(iter(announcer.says()), None), what="it says something")
    assert entry["MESSAGE"].startswith("api 0badcafe-1: announced: {")
    assert entry["OBJECT_SYSTEMD_UNIT"] == UNIT
    assert (entry["FLEET_SERVICE"], entry["FLEET_CUSTOMER_OF"]) == ("api", "shop")


def test_announcement_expires_without_its_announcer(
    etcd: EtcdServer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})

    sidekick.start()

    sidekick.is_announced()
    ttl = etcd.client.get(INSTANCE).node.ttl
    assert ttl is not None
    assert 0 < ttl <= 15


def test_renewal_does_not_write_the_value_again(
    etcd: EtcdServer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start()
    sidekick.is_announced()
    first = etcd.client.get(INSTANCE).node

    def renewed() -> bool:
        return etcd.client.get(INSTANCE).node.modified_index > first.modified_index

    eventually(renewed, what="the key is renewed")
    assert etcd.client.get(INSTANCE).node.created_index == first.created_index


def test_instance_that_is_not_healthy_yet_is_not_announced_and_says_why(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    announcer.log("one\ntwo\nthree\nfour\nfive\nno database\n")

    sidekick.start(replace(API, health=replace(HTTP, path="/status=500")))

    assert sidekick.has_failed() == {
        "node": "core-0",
        "reason": f"GET http://{app.address}/status=500 answered 500",
        "log": "two\nthree\nfour\nfive\nno database",
    }
    assert sidekick.announced() is None


def test_report_of_a_failure_goes_when_the_instance_is_healthy(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    app.fail_here = 503
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(FAILING)
    sidekick.has_failed()

    app.fail_here = 200

    sidekick.is_announced()
    eventually(lambda: sidekick.failure() is None, what="the report is gone")


def test_instance_that_turns_unhealthy_is_taken_out(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(FAILING)
    sidekick.is_announced()

    app.fail_here = 503

    sidekick.is_withdrawn()
    assert sidekick.has_failed()["reason"].endswith("answered 503")


def test_instance_keeps_its_key_until_enough_checks_have_failed(
    etcd: EtcdServer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(FAILING, health=replace(FAILING.health, unhealthy_threshold=8)))
    sidekick.is_announced()
    app.fail_here = 503
    index = etcd.client.get(INSTANCE).node.modified_index
    asked = len(app.requests)

    eventually(lambda: len(app.requests) >= asked + 6, what="six checks have failed")

    # not only still there, but renewed: the failures may take longer than it lives
    assert etcd.client.get(INSTANCE).node.modified_index > index
    sidekick.is_withdrawn()
    assert sidekick.has_failed()["reason"].endswith("answered 503")


def test_restarted_container_is_announced_with_its_new_port(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start()
    sidekick.is_announced()
    successor = Backend("successor")

    docker.dies(137)
    sidekick.is_withdrawn()
    with serving(successor):
        docker.is_replaced()
        docker.runs({"8080/tcp": port_of(successor)})

        assert sidekick.is_announced()["http"] == successor.address


def test_death_of_an_instance_is_seen_between_two_checks(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(API, health=replace(FAST, interval=6)))
    sidekick.is_announced()

    docker.dies(137)

    eventually(lambda: sidekick.announced() is None, what="the key is gone", patience=5)


def test_restarted_udp_service_is_announced_with_its_new_port(
    sidekick: Sidekick, docker: FakeDocker
) -> None:
    """The number is new each time: no entry of the kernel leads a client to the dead container."""
    docker.health = "healthy"
    docker.runs({"64738/udp": "40002"})
    sidekick.start(UDP)
    sidekick.is_announced()

    docker.dies(137)
    docker.is_replaced()
    docker.runs({"64738/udp": "40003"})

    def announced_again() -> bool:
        return (sidekick.announced() or {}).get("udp") == {"64738": "127.0.0.1:40003"}

    eventually(announced_again, what="the successor is announced")


def test_tcp_service_is_announced_when_it_accepts_connections(
    sidekick: Sidekick, docker: FakeDocker
) -> None:
    voice = TcpEcho("voice")
    port = str(voice.server_address[1])
    with serving(voice):
        docker.runs({"64738/tcp": port, "64738/udp": port})

        sidekick.start(VOICE)

        assert sidekick.is_announced()["tcp"] == {"64738": f"127.0.0.1:{port}"}


def test_udp_service_is_announced_when_dockers_health_check_passes(
    sidekick: Sidekick, docker: FakeDocker
) -> None:
    docker.health = "starting"
    docker.runs({"64738/udp": "40002"})
    sidekick.start(UDP)
    assert sidekick.has_failed()["reason"] == "docker's health check says: starting"

    docker.health = "healthy"

    assert sidekick.is_announced()["udp"] == {"64738": "127.0.0.1:40002"}


@pytest.mark.usefixtures("docker")
def test_failure_without_a_container_quotes_the_units_log(
    announcer: Announcer, sidekick: Sidekick
) -> None:
    announcer.log("no matching manifest for linux/amd64 in the manifest list entries\n")

    sidekick.start()

    failure = sidekick.has_failed()
    assert failure["reason"] == "no container api-0badcafe-1"
    assert failure["log"] == "no matching manifest for linux/amd64 in the manifest list entries"


def test_key_has_the_boot_and_docker_start_of_its_node(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    announcer.docker_starts("docker-1", boot="boot-1")
    docker.runs({"8080/tcp": port_of(app)})

    sidekick.start()

    value = sidekick.is_announced()
    assert (value["boot"], value["docker"]) == ("boot-1", "docker-1")


def test_instance_lives_on_through_a_restart_of_docker(
    etcd: EtcdServer, announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    announcer.docker_starts("docker-1")
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(API, health=replace(HTTP, path="/ok")))
    sidekick.is_announced()
    first = etcd.client.get(INSTANCE).node
    docker.stop()
    asked = len(app.requests)
    eventually(lambda: len(app.requests) > asked + 2, what="it is checked without docker")
    assert sidekick.announced()

    docker.start()
    announcer.docker_starts("docker-2")

    def said() -> bool:
        return (sidekick.announced() or {}).get("docker") == "docker-2"

    eventually(said, what="the key names docker's new start")
    # its age decides who keeps clients while two releases run
    assert etcd.client.get(INSTANCE).node.created_index == first.created_index


def test_unit_that_vanished_without_a_stop_withdraws_its_instance(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start()
    sidekick.is_announced()

    (announcer.folder / UNIT).unlink()  # its ExecStopPost

    sidekick.is_withdrawn()


def test_value_of_another_node_is_not_renewed_as_its_own(
    etcd: EtcdServer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    elsewhere = {"http": "10.0.0.9:32768", "tcp": {}, "udp": {}, "node": "core-2"}
    etcd.client.set(INSTANCE, json.dumps(elsewhere), ttl=15)

    sidekick.start()

    eventually(
        lambda: (sidekick.announced() or {}).get("node") == "core-0", what="it is announced here"
    )
