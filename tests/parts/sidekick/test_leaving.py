"""How a sidekick takes its instance out of routing, and drains it before its unit has stopped."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend
from tests.parts.router.harness import EtcdServer
from tests.parts.sidekick.announcer import API, INSTANCE, Announcer, Sidekick, port_of
from tests.parts.sidekick.fake_docker import FakeDocker

DRAINED = replace(API, drain=2)
patient = pytest.mark.parametrize("routers_timeout", [60.0])


def test_stop_removes_the_key_at_once_and_drains_before_it_ends(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(DRAINED)
    sidekick.is_announced()

    start = time.monotonic()
    sidekick.stop()

    sidekick.is_withdrawn()
    assert sidekick.is_stopping
    assert sidekick.wait() == 0
    assert time.monotonic() - start >= 2


@patient
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
    docker: FakeDocker,
    app: Backend,
    behind: dict[str, object],
) -> None:
    for router, state in (("ahead", {"applied": 10**9, "kept": []}), ("behind", behind)):
        etcd.client.set(f"/routers/{router}", json.dumps({"node": router} | state))
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start()
    sidekick.is_announced()

    sidekick.stop()

    sidekick.is_withdrawn()
    with pytest.raises(subprocess.TimeoutExpired):
        sidekick.wait(1)
    etcd.client.set("/routers/behind", json.dumps({"node": "behind", "applied": 10**9}))
    assert sidekick.wait() == 0


@patient
def test_stop_does_not_take_missing_routers_for_routers_that_have_applied_it(
    etcd: EtcdServer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start()
    sidekick.is_announced()

    sidekick.stop()

    sidekick.is_withdrawn()
    with pytest.raises(subprocess.TimeoutExpired):
        sidekick.wait(1)
    etcd.client.set("/routers/back", json.dumps({"node": "back", "applied": 10**9}))
    assert sidekick.wait() == 0


def test_stop_drains_an_instance_while_docker_is_away(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(DRAINED)
    sidekick.is_announced()

    docker.stop()
    start = time.monotonic()
    sidekick.stop()

    assert sidekick.wait() == 0
    assert time.monotonic() - start >= 2
    assert sidekick.announced() is None


@patient
def test_stop_does_not_drain_an_instance_that_is_already_dead(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(API, drain=60))
    sidekick.is_announced()

    docker.dies(1)
    sidekick.stop()

    assert sidekick.wait() == 0
    assert sidekick.announced() is None


@patient
def test_drain_ends_with_an_instance_that_dies_meanwhile(
    etcd: EtcdServer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    etcd.client.set("/routers/ahead", json.dumps({"node": "ahead", "applied": 10**9}))
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(API, drain=60))
    sidekick.is_announced()
    sidekick.stop()
    sidekick.is_withdrawn()

    docker.dies(1)

    assert sidekick.wait() == 0


def test_instance_that_dies_before_it_was_healthy_is_reported_with_its_log(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker
) -> None:
    docker.runs({"8080/tcp": "1"})
    sidekick.start()
    sidekick.has_failed()

    announcer.log("cannot open /data: permission denied\n")
    docker.dies(3)
    sidekick.stop()

    assert sidekick.wait() == 0
    assert sidekick.failure() == {
        "node": "core-0",
        "reason": "container api-0badcafe-1 ended with exit code 3",
        "log": "cannot open /data: permission denied",
    }


def test_stop_leaves_the_key_of_the_same_instance_on_another_node(
    etcd: EtcdServer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(DRAINED)
    sidekick.is_announced()
    elsewhere = {"http": "10.0.0.9:32768", "tcp": {}, "udp": {}, "node": "core-2"}
    etcd.client.set(INSTANCE, json.dumps(elsewhere))

    sidekick.stop()
    sidekick.wait()

    assert sidekick.announced() == elsewhere


def test_start_during_a_drain_announces_the_instance_again(
    sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(API, drain=60))
    sidekick.is_announced()
    sidekick.stop()
    sidekick.is_withdrawn()

    sidekick.start()

    sidekick.is_announced()
    assert sidekick.wait() == 0  # nothing is drained any more
    assert sidekick.announced()


@pytest.mark.usefixtures("docker")
def test_stop_of_an_unknown_sidekick_succeeds(sidekick: Sidekick) -> None:
    sidekick.stop()

    assert sidekick.wait() == 0
    eventually(lambda: sidekick.announced() is None, what="nothing is announced")
