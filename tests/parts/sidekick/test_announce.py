"""The sidekick against a real etcd and a real instance; only docker is played."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend, TcpEcho, serving
from tests.parts.router.harness import EtcdServer, running_etcd_cluster
from tests.parts.sidekick.sidekick import INSTANCE, Container, Sidekick, port_of


def test_healthy_instance_is_announced_with_its_published_ports(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    ports = {"8080/tcp": port_of(app), "64738/tcp": "40001", "64738/udp": "40002"}
    container.runs(ports)

    sidekick.start(
        HTTP_PORT="8080",
        HEALTH_KIND="http",
        HEALTH_PATH="/ok",
        TCP_PORTS="64738",
        UDP_PORTS="64738",
    )

    assert eventually(sidekick.announced, what="the instance is announced") == {
        "http": app.address,
        "tcp": {"64738": "127.0.0.1:40001"},
        "udp": {"64738": "127.0.0.1:40002"},
        "node": "core-0",
    }


def test_announcement_expires_without_its_sidekick(
    etcd: EtcdServer, sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})

    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080")

    eventually(sidekick.announced, what="the instance is announced")
    ttl = etcd.client.get(INSTANCE).node.ttl
    assert ttl is not None
    assert 0 < ttl <= 15


def test_renewal_does_not_write_the_value_again(
    etcd: EtcdServer, sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080")
    eventually(sidekick.announced, what="the instance is announced")
    first = etcd.client.get(INSTANCE).node

    def renewed() -> bool:
        return etcd.client.get(INSTANCE).node.modified_index > first.modified_index

    eventually(renewed, what="the key is renewed")
    assert etcd.client.get(INSTANCE).node.created_index == first.created_index


def test_instance_that_is_not_healthy_yet_is_not_announced_and_says_why(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    container.log("one\ntwo\nthree\nfour\nfive\nno database\n")

    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="http", HEALTH_PATH="/status=500")

    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure == {
        "node": "core-0",
        "reason": f"GET http://{app.address}/status=500 answered 500",
        "log": "two\nthree\nfour\nfive\nno database",
    }
    assert sidekick.announced() is None


def test_report_of_a_failure_goes_when_the_instance_is_healthy(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    app.fail_here = 503
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="http", HEALTH_PATH="/fail-here")
    eventually(sidekick.failure, what="the failure is reported")

    app.fail_here = 200

    eventually(sidekick.announced, what="the instance is announced")
    eventually(lambda: sidekick.failure() is None, what="the report is gone")


def test_instance_that_turns_unhealthy_is_taken_out(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="http", HEALTH_PATH="/fail-here")
    eventually(sidekick.announced, what="the instance is announced")

    app.fail_here = 503

    eventually(lambda: sidekick.announced() is None, what="the announcement is gone")
    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"].endswith("answered 503")


def test_restarted_container_is_announced_with_its_new_port(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080")
    eventually(sidekick.announced, what="the instance is announced")
    successor = Backend("successor")

    container.dies(137)
    eventually(lambda: sidekick.announced() is None, what="the announcement is gone")
    with serving(successor):
        container.is_replaced()
        container.runs({"8080/tcp": port_of(successor)})

        value = eventually(sidekick.announced, what="the successor is announced")
        assert value["http"] == successor.address


def test_restarted_udp_service_is_announced_with_its_new_port(
    sidekick: Sidekick, container: Container
) -> None:
    """A new number each time: no entry of the kernel leads a caller to the dead container."""
    container.health("healthy")
    container.runs({"64738/udp": "40002"})
    sidekick.start(UDP_PORTS="64738", HEALTH_KIND="container")
    eventually(sidekick.announced, what="the instance is announced")

    container.dies(137)
    container.is_replaced()
    container.runs({"64738/udp": "40003"})

    def announced_anew() -> bool:
        return (sidekick.announced() or {}).get("udp") == {"64738": "127.0.0.1:40003"}

    eventually(announced_anew, what="the successor is announced")


def test_tcp_service_is_announced_when_it_accepts_connections(
    sidekick: Sidekick, container: Container
) -> None:
    voice = TcpEcho("voice")
    with serving(voice):
        container.runs({"64738/tcp": str(voice.server_address[1])})

        sidekick.start(TCP_PORTS="64738", HEALTH_KIND="tcp", HEALTH_PORT="64738")

        value = eventually(sidekick.announced, what="the instance is announced")
    assert value["tcp"] == {"64738": f"127.0.0.1:{voice.server_address[1]}"}


def test_udp_service_is_announced_when_dockers_health_check_passes(
    sidekick: Sidekick, container: Container
) -> None:
    container.health("starting")
    container.runs({"64738/udp": "40002"})
    sidekick.start(UDP_PORTS="64738", HEALTH_KIND="container")
    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"] == "docker's health check says: starting"

    container.health("healthy")

    value = eventually(sidekick.announced, what="the instance is announced")
    assert value["udp"] == {"64738": "127.0.0.1:40002"}


def test_stop_removes_the_key_at_once_and_drains_before_it_ends(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080", DRAIN_SECONDS="1.5")
    eventually(sidekick.announced, what="the instance is announced")

    start = time.monotonic()
    sidekick.terminate()

    eventually(lambda: sidekick.announced() is None, what="the announcement is gone")
    assert sidekick.process is not None
    assert sidekick.process.poll() is None
    assert sidekick.wait() == 0
    assert time.monotonic() - start >= 1.5


@pytest.mark.parametrize(
    "behind",
    [
        {"applied": 1},
        {"applied": 10**9, "kept": ["/services/other/instances/r1-1", INSTANCE]},
    ],
)
def test_stop_waits_until_every_live_router_has_applied_the_removal(
    etcd: EtcdServer,
    sidekick: Sidekick,
    container: Container,
    app: Backend,
    behind: dict[str, object],
) -> None:
    for router, state in (("ahead", {"applied": 10**9, "kept": []}), ("behind", behind)):
        etcd.client.set(f"/routers/{router}", json.dumps({"node": router} | state))
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080", ROUTERS_TIMEOUT="60")
    eventually(sidekick.announced, what="the instance is announced")

    sidekick.terminate()

    eventually(lambda: sidekick.announced() is None, what="the announcement is gone")
    assert sidekick.process is not None
    with pytest.raises(subprocess.TimeoutExpired):
        sidekick.process.wait(1)
    etcd.client.set("/routers/behind", json.dumps({"node": "behind", "applied": 10**9}))
    assert sidekick.wait() == 0


def test_stop_does_not_take_missing_routers_for_routers_that_have_applied_it(
    etcd: EtcdServer, sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080", ROUTERS_TIMEOUT="60")
    eventually(sidekick.announced, what="the instance is announced")

    sidekick.terminate()

    eventually(lambda: sidekick.announced() is None, what="the announcement is gone")
    assert sidekick.process is not None
    with pytest.raises(subprocess.TimeoutExpired):
        sidekick.process.wait(1)
    etcd.client.set("/routers/back", json.dumps({"node": "back", "applied": 10**9}))
    assert sidekick.wait() == 0


def test_stop_drains_an_instance_while_docker_is_away(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080", DRAIN_SECONDS="1.5")
    eventually(sidekick.announced, what="the instance is announced")

    container.docker_is_away()
    start = time.monotonic()
    sidekick.terminate()

    assert sidekick.wait() == 0
    assert time.monotonic() - start >= 1.5
    assert sidekick.announced() is None


def test_stop_does_not_drain_an_instance_that_is_already_dead(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(
        HTTP_PORT="8080",
        HEALTH_KIND="tcp",
        HEALTH_PORT="8080",
        DRAIN_SECONDS="60",
        ROUTERS_TIMEOUT="60",
    )
    eventually(sidekick.announced, what="the instance is announced")

    container.dies(1)
    sidekick.terminate()

    assert sidekick.wait() == 0
    assert sidekick.announced() is None


def test_instance_that_dies_before_it_was_healthy_leaves_its_last_words(
    sidekick: Sidekick, container: Container
) -> None:
    container.runs({"8080/tcp": "1"})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080")
    eventually(sidekick.failure, what="the sidekick checks the instance")

    container.log("cannot open /data: permission denied\n")
    container.dies(3)
    sidekick.terminate()

    assert sidekick.wait() == 0
    assert sidekick.failure() == {
        "node": "core-0",
        "reason": "container api-1 ended with exit code 3",
        "log": "cannot open /data: permission denied",
    }


def test_instance_that_never_had_a_container_says_what_its_unit_said(
    sidekick: Sidekick, container: Container
) -> None:
    container.log("no matching manifest for linux/amd64 in the manifest list entries\n")

    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080")

    failure = eventually(sidekick.failure, what="the failure is reported")
    assert failure["reason"] == "no container api-1: Error: No such container: api-1"
    assert failure["log"] == "no matching manifest for linux/amd64 in the manifest list entries"


def test_stop_before_the_first_check_takes_away_what_the_sidekick_before_announced(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.docker_starts("docker-1")
    container.runs({"8080/tcp": port_of(app)})
    http = {"HTTP_PORT": "8080", "HEALTH_KIND": "http", "HEALTH_PATH": "/fail-here"}
    sidekick.start(**http)
    eventually(sidekick.announced, what="the instance is announced")
    sidekick.is_killed()
    app.fail_here = 503
    asked = len(app.requests)

    sidekick.start(**http, UNHEALTHY_THRESHOLD="20", DRAIN_SECONDS="1.5")
    eventually(lambda: len(app.requests) > asked, what="the next sidekick checks it")
    start = time.monotonic()
    sidekick.terminate()

    assert sidekick.wait() == 0
    assert time.monotonic() - start >= 1.5
    assert sidekick.announced() is None


def test_stop_leaves_the_key_of_the_same_instance_on_another_node(
    etcd: EtcdServer, sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080")
    eventually(sidekick.announced, what="the instance is announced")
    elsewhere = {"http": "10.0.0.9:32768", "tcp": {}, "udp": {}, "node": "core-2"}
    etcd.client.set(INSTANCE, json.dumps(elsewhere))

    sidekick.terminate()
    sidekick.wait()

    assert sidekick.announced() == elsewhere


def test_instance_stays_announced_while_etcd_is_away_on_its_own_node(
    tmp_path: Path, container: Container, app: Backend
) -> None:
    container.runs({"8080/tcp": port_of(app)})
    with running_etcd_cluster(tmp_path) as (own, other, _):
        sidekick = Sidekick(own, container)
        sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080")
        try:
            eventually(sidekick.announced, what="the instance is announced")

            own.stop()

            sidekick.watch_through(other)
            other.wait_until_ready()
            index = other.client.get(INSTANCE).node.modified_index

            def renewed() -> bool:
                return other.client.get(INSTANCE).node.modified_index > index

            eventually(renewed, what="the key is renewed")
        finally:
            sidekick.terminate()
            sidekick.wait()
        assert sidekick.announced() is None


def test_key_says_since_when_the_node_and_its_docker_run(
    sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.docker_starts("docker-1", boot="boot-1")
    container.runs({"8080/tcp": port_of(app)})

    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="tcp", HEALTH_PORT="8080")

    value = eventually(sidekick.announced, what="the instance is announced")
    assert (value["boot"], value["docker"]) == ("boot-1", "docker-1")


def test_instance_lives_on_through_a_restart_of_docker(
    etcd: EtcdServer, sidekick: Sidekick, container: Container, app: Backend
) -> None:
    container.docker_starts("docker-1")
    container.runs({"8080/tcp": port_of(app)})
    sidekick.start(HTTP_PORT="8080", HEALTH_KIND="http", HEALTH_PATH="/ok")
    eventually(sidekick.announced, what="the instance is announced")

    first = etcd.client.get(INSTANCE).node
    container.docker_is_away()
    asked = len(app.requests)
    eventually(lambda: len(app.requests) > asked + 2, what="it is checked without docker")
    assert sidekick.announced()
    container.docker_starts("docker-2")

    def said() -> bool:
        return (sidekick.announced() or {}).get("docker") == "docker-2"

    eventually(said, what="the key names docker's new start")
    # its age decides who keeps callers while two releases run
    assert etcd.client.get(INSTANCE).node.created_index == first.created_index
