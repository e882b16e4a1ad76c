"""The announcer dies, or is replaced: nothing is withdrawn, and what it did is finished."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.parts.router.backends import Backend
from tests.parts.router.harness import EtcdServer, running_etcd_cluster
from tests.parts.sidekick.announcer import API, HTTP, INSTANCE, Announcer, Sidekick, port_of
from tests.parts.sidekick.fake_docker import FakeDocker


@pytest.mark.parametrize("end", ["stop", "is_killed"])
def test_key_outlives_the_announcer_and_is_renewed_by_the_next_one(
    etcd: EtcdServer,
    announcer: Announcer,
    sidekick: Sidekick,
    docker: FakeDocker,
    app: Backend,
    end: str,
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start()
    sidekick.is_announced()
    first = etcd.client.get(INSTANCE).node

    getattr(announcer, end)()
    assert etcd.client.get(INSTANCE).node.modified_index == first.modified_index
    announcer.start()

    def renewed() -> bool:
        return etcd.client.get(INSTANCE).node.modified_index > first.modified_index

    eventually(renewed, what="the key is renewed")
    assert etcd.client.get(INSTANCE).node.created_index == first.created_index


def test_next_announcer_keeps_the_key_of_an_instance_that_fails_a_check(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    health = replace(HTTP, path="/fail-here", unhealthy_threshold=20)
    sidekick.start(replace(API, health=health, drain=2))
    sidekick.is_announced()
    announcer.is_killed()
    app.fail_here = 503
    asked = len(app.requests)

    announcer.start()
    eventually(lambda: len(app.requests) > asked + 1, what="the next announcer checks it")
    assert sidekick.announced()
    start = time.monotonic()
    sidekick.stop()

    assert sidekick.wait() == 0
    assert time.monotonic() - start >= 2
    assert sidekick.announced() is None


def test_stop_while_no_announcer_runs_drains_once_there_is_one(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(API, drain=2))
    sidekick.is_announced()
    announcer.is_killed()

    sidekick.stop()
    announcer.start()
    start = time.monotonic()

    sidekick.is_withdrawn()
    assert sidekick.wait() == 0
    assert time.monotonic() - start >= 2


def test_announcer_that_is_stopped_finishes_its_drains(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    """A node that shuts down stops the announcer together with the sidekicks."""
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(API, drain=3))
    sidekick.is_announced()
    sidekick.stop()
    sidekick.is_withdrawn()
    start = time.monotonic()

    assert announcer.stop() == 0

    assert time.monotonic() - start >= 2
    assert sidekick.wait() == 0  # without another announcer


def test_drain_begins_again_with_the_next_announcer(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    sidekick.start(replace(API, drain=2))
    sidekick.is_announced()
    sidekick.stop()
    sidekick.is_withdrawn()
    announcer.is_killed()

    announcer.start()
    start = time.monotonic()

    assert sidekick.wait() == 0
    assert time.monotonic() - start >= 2


def test_start_while_no_announcer_runs_waits_for_one(
    announcer: Announcer, sidekick: Sidekick, docker: FakeDocker, app: Backend
) -> None:
    docker.runs({"8080/tcp": port_of(app)})
    announcer.is_killed()
    announcer.socket.unlink(missing_ok=True)
    announcer.start()

    sidekick.start()

    sidekick.is_announced()


def test_instance_stays_announced_while_etcd_is_away_on_its_own_node(
    tmp_path: Path, app: Backend
) -> None:
    with running_etcd_cluster(tmp_path) as (own, other, _):
        announcer = Announcer(tmp_path / "host", own, routers_timeout=0)
        docker = FakeDocker(announcer.host / "run/docker.sock")
        docker.runs({"8080/tcp": port_of(app)})
        sidekick = Sidekick(own, announcer)
        announcer.start()
        try:
            sidekick.start()
            sidekick.is_announced()
            time.sleep(0.5)  # it learns the members beside its first checks

            own.stop()

            sidekick.watch_through(other)
            other.wait_until_ready()
            index = other.client.get(INSTANCE).node.modified_index

            def renewed() -> bool:
                return other.client.get(INSTANCE).node.modified_index > index

            eventually(renewed, what="the key is renewed")
            sidekick.stop()
            assert sidekick.wait() == 0
            assert sidekick.announced() is None
        finally:
            sidekick.close()
            announcer.close()
            docker.close()
