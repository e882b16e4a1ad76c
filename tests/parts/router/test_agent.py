"""The agent keeps nginx serving through changes, outages and bad configurations."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from router.nginx import processes
from tests.eventually import eventually
from tests.parts.router.backends import Backend, TcpEcho, serving
from tests.parts.router.harness import (
    EtcdServer,
    Router,
    empty,
    lay_out_confd,
    open_websocket,
    publish,
    running,
    running_etcd,
    running_etcd_cluster,
)
from tests.parts.router.load import load
from tests.ports import free_port

API = {"hosts": ["api.test"], "http": True}


@pytest.fixture
def api(etcd: EtcdServer, own_router: Router, backends: tuple[Backend, Backend]) -> Router:
    """A router that serves api.test with one instance, `one`."""
    index = publish(etcd, "api", route=API, instances={"r1-1": {"http": backends[0].address}})
    own_router.wait_until_applied(index)
    return own_router


@pytest.fixture
def unsteady_etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """An etcd of this test's own, which may be stopped."""
    with running_etcd(tmp_path) as server:
        empty(server)
        yield server


def test_router_announces_its_node_and_how_far_it_is(etcd: EtcdServer, api: Router) -> None:
    index = etcd.client.get("/services/api/route").node.modified_index

    state = api.announced()

    assert state is not None
    assert state["node"] == "core-0"
    assert state["applied"] >= index
    assert (state["error"], state["problems"]) == (None, [])
    assert state["kept"] == []
    ttl = etcd.client.get(f"/routers/{api.machine_id}").node.ttl
    assert ttl is not None
    assert 0 < ttl <= 15


def test_router_reports_the_boot_and_docker_start_of_its_node(
    etcd: EtcdServer, folder: Path
) -> None:
    life = folder / "node-life"
    life.mkdir()
    (life / "boot").write_text("b00t\n")
    (life / "docker").write_text("one\n")
    environment = {"ROUTER_NODE_LIFE": str(life)}
    with running(Router(etcd=etcd, folder=folder, environment=environment)) as router:

        def told() -> tuple[str, str]:
            state = router.announced() or {}
            return state["boot"], state["docker"]

        eventually(lambda: told() == ("b00t", "one"), what="it tells both")

        (life / "docker").write_text("two\n")

        eventually(lambda: told() == ("b00t", "two"), what="it tells that docker has started again")


def test_applied_change_holds_for_every_new_connection(
    etcd: EtcdServer, api: Router, backends: tuple[Backend, Backend]
) -> None:
    one, two = backends
    for turn in range(6):
        chosen = (two, one)[turn % 2]
        instance = {"r1-1": {"http": chosen.address}}

        api.wait_until_applied(publish(etcd, "api", instances=instance))

        seen = {api.get("api.test").json()["instance"] for _ in range(10)}
        assert seen == {chosen.name}


def test_reloads_under_load_fail_no_request(
    etcd: EtcdServer, api: Router, backends: tuple[Backend, Backend]
) -> None:
    with load(api.http_port, "api.test") as seen:
        for turn in range(8):
            if turn % 2:
                index = etcd.client.delete("/services/api/instances/r1-2").node.modified_index
            else:
                instance = {"r1-2": {"http": backends[1].address}}
                index = publish(etcd, "api", instances=instance)
            api.wait_until_applied(index)

    assert seen.failures == []
    assert seen.answered > 50


def retiring_workers(router: Router) -> list[int]:
    (master,) = masters(router)
    return [
        child
        for child in processes.children(master)
        if processes.title(child).endswith("is shutting down")
    ]


def test_open_connections_do_not_accumulate_old_workers(
    etcd: EtcdServer, folder: Path, backends: tuple[Backend, Backend]
) -> None:
    megabytes = 25
    publish(etcd, "api", route=API, instances={"r1-1": {"http": backends[0].address}})
    environment = {"ROUTER_RETIRING_MEMORY": str(megabytes)}
    with (
        running(Router(etcd=etcd, folder=folder, environment=environment)) as router,
        ExitStack() as stack,
    ):
        for turn in range(10):
            # enough of them that every worker holds one
            sockets = [stack.enter_context(open_websocket(router, "api.test")) for _ in range(8)]
            instance = {"r1-1": {"http": backends[(turn + 1) % 2].address}}
            router.wait_until_applied(publish(etcd, "api", instances=instance))

        eventually(lambda: len(retiring_workers(router)) < 20, what="the oldest are cut")
        held = sum(processes.own_memory(worker) for worker in retiring_workers(router))
        assert 0 < held <= megabytes * 1e6
        for held_open in sockets:  # the youngest are untouched
            held_open.sendall(b"still there?")
            assert held_open.recv(100) == b"still there?"


def test_open_connection_survives_a_day_of_changes(
    etcd: EtcdServer, api: Router, backends: tuple[Backend, Backend]
) -> None:
    with open_websocket(api, "api.test") as call:
        for turn in range(15):
            instance = {"r1-1": {"http": backends[(turn + 1) % 2].address}}
            api.wait_until_applied(publish(etcd, "api", instances=instance))

        call.sendall(b"still there?")
        assert call.recv(100) == b"still there?"
    eventually(lambda: not retiring_workers(api), what="its worker ends with it")


def test_killed_instance_under_load_fails_no_request(etcd: EtcdServer, api: Router) -> None:
    victim = Backend("victim")
    with serving(victim), load(api.http_port, "api.test") as seen:
        api.wait_until_applied(publish(etcd, "api", instances={"r1-2": {"http": victim.address}}))
        eventually(lambda: bool(victim.requests), what="the victim serves, too")
        time.sleep(0.2)

        victim.kill()
        time.sleep(0.5)
        index = etcd.client.delete("/services/api/instances/r1-2").node.modified_index
        api.wait_until_applied(index)

    assert seen.failures == []


def test_router_without_etcd_goes_on_as_it_was_and_catches_up(
    unsteady_etcd: EtcdServer, folder: Path, backends: tuple[Backend, Backend]
) -> None:
    one, two = backends
    publish(unsteady_etcd, "api", route=API, instances={"r1-1": {"http": one.address}})
    with running(Router(etcd=unsteady_etcd, folder=folder)) as router:
        eventually(lambda: router.get("api.test").status_code == 200, what="api is served")

        unsteady_etcd.stop()
        time.sleep(2)

        assert router.get("api.test").status_code == 200
        assert router.health() == 200

        unsteady_etcd.start()
        unsteady_etcd.wait_until_ready()
        index = publish(unsteady_etcd, "api", instances={"r1-1": {"http": two.address}})
        router.wait_until_applied(index)
        assert router.get("api.test").json()["instance"] == "two"


def test_router_asks_another_member_while_etcd_is_away_on_its_own_node(
    folder: Path, tmp_path: Path, backends: tuple[Backend, Backend]
) -> None:
    one, two = backends
    with running_etcd_cluster(tmp_path) as (own, other, _):
        empty(own)
        publish(own, "api", route=API, instances={"r1-1": {"http": one.address}})
        router = Router(etcd=own, folder=folder, environment={"NODE_IP": own.address})
        with running(router):
            eventually(lambda: router.get("api.test").status_code == 200, what="api is served")

            own.stop()

            router.observer = other.client
            other.wait_until_ready()
            index = publish(other, "api", instances={"r1-1": {"http": two.address}})
            router.wait_until_applied(index)
            assert router.get("api.test").json()["instance"] == "two"


@contextmanager
def outage(etcd: EtcdServer, router: Router, *keys: str) -> Iterator[None]:
    """Announce the instances of acme with these keys, with values that tell of core-1; then take
    etcd away for as long as they last. Inside the block etcd is back, without them."""
    for n, (key, address) in enumerate(zip(keys[::2], keys[1::2], strict=True), 1):
        value = {"http": address, "node": f"core-{n}", "boot": "first", "docker": "one"}
        etcd.client.set(key, json.dumps(value), ttl=4)
    expire = time.monotonic() + 4
    eventually(lambda: router.get("acme.test").status_code == 200, what="acme is served")
    etcd.stop()
    time.sleep(max(0.0, expire - time.monotonic()))
    etcd.start()
    etcd.wait_until_ready()
    eventually(lambda: all(etcd.client.find(key) is None for key in keys[::2]), what="they expire")
    yield


ACME = {"hosts": ["acme.test"], "http": True}
ACME_1 = "/services/acme/instances/r1-1"


@pytest.fixture
def patient(unsteady_etcd: EtcdServer, folder: Path) -> Iterator[Router]:
    """A router whose etcd may be stopped, and that keeps what expired meanwhile for 5 s."""
    publish(unsteady_etcd, "acme", route=ACME)
    environment = {"ROUTER_PATIENCE": "5"}
    with running(Router(etcd=unsteady_etcd, folder=folder, environment=environment)) as router:
        yield router


def test_instances_that_expired_in_an_outage_of_etcd_are_kept_without_blocking(
    unsteady_etcd: EtcdServer, patient: Router, backends: tuple[Backend, Backend]
) -> None:
    one, two = backends
    with outage(unsteady_etcd, patient, ACME_1, one.address):
        index = publish(unsteady_etcd, "api", route=API, instances={"r1-1": {"http": two.address}})

        patient.wait_until_applied(index)
        assert patient.get("api.test").json()["instance"] == "two"
        assert patient.get("acme.test").json()["instance"] == "one"
        state = patient.announced()
        assert state is not None
        assert (state["kept"], state["error"]) == ([ACME_1], None)

        eventually(lambda: patient.get("acme.test").status_code == 503, what="patience ends")
        eventually(lambda: (patient.announced() or {})["kept"] == [], what="it is told")


def test_instance_that_expired_while_etcd_hung_is_kept(
    unsteady_etcd: EtcdServer, patient: Router, backends: tuple[Backend, Backend]
) -> None:
    value = json.dumps({"http": backends[0].address})
    unsteady_etcd.client.set(ACME_1, value, ttl=5)
    eventually(lambda: patient.get("acme.test").status_code == 200, what="acme is served")

    unsteady_etcd.hang(8)  # a router reads every 4 s: one read waits for seconds

    eventually(lambda: unsteady_etcd.client.find(ACME_1) is None, what="the key expires")
    eventually(lambda: (patient.announced() or {})["kept"] == [ACME_1], what="it is told")
    assert patient.get("acme.test").json()["instance"] == "one"


def test_kept_address_is_dropped_when_another_service_gets_it(
    unsteady_etcd: EtcdServer, patient: Router, backends: tuple[Backend, Backend]
) -> None:
    route = {"hosts": ["globex.test"], "http": True}
    with outage(unsteady_etcd, patient, ACME_1, backends[0].address):
        instance = {"r1-1": {"http": backends[0].address}}
        index = publish(unsteady_etcd, "globex", route=route, instances=instance)

        patient.wait_until_applied(index)
        assert patient.get("globex.test").json()["instance"] == "one"
        assert patient.get("acme.test").status_code == 503


def test_address_of_a_rebooted_node_is_not_kept(
    unsteady_etcd: EtcdServer, patient: Router, backends: tuple[Backend, Backend]
) -> None:
    """Before anything is announced there: who listens on its ports is not known yet."""
    one, two = backends
    keys = (ACME_1, one.address, "/services/acme/instances/r1-2", two.address)
    with outage(unsteady_etcd, patient, *keys):
        told = {"node": "core-1", "applied": 0, "error": "starting", "boot": "second"}
        unsteady_etcd.client.set("/routers/another", json.dumps(told), ttl=60)
        barrier = unsteady_etcd.client.set("/services/acme/barrier", "1")

        patient.wait_until_applied(barrier.index)
        assert {patient.get("acme.test").json()["instance"] for _ in range(10)} == {"two"}


def test_instance_that_is_withdrawn_just_after_an_outage_is_not_kept(
    unsteady_etcd: EtcdServer, patient: Router, backends: tuple[Backend, Backend]
) -> None:
    with outage(unsteady_etcd, patient, ACME_1, backends[0].address):
        unsteady_etcd.client.set(ACME_1, json.dumps({"http": backends[1].address}), ttl=15)
        eventually(lambda: patient.get("acme.test").json()["instance"] == "two", what="it is back")

        deleted = unsteady_etcd.client.delete(ACME_1).node.modified_index

        patient.wait_until_applied(deleted)
        assert patient.get("acme.test").status_code == 503


def test_router_that_starts_without_etcd_is_unhealthy_until_it_has_a_configuration(
    unsteady_etcd: EtcdServer, folder: Path
) -> None:
    unsteady_etcd.stop()
    router = Router(etcd=unsteady_etcd, folder=folder)
    router.start()
    try:
        time.sleep(1.5)
        assert router.health() is None

        unsteady_etcd.start()

        eventually(lambda: router.health() == 200, what="the router is healthy")
    finally:
        router.stop()


def test_configuration_that_nginx_refuses_is_not_applied(
    etcd: EtcdServer, api: Router, backends: tuple[Backend, Backend]
) -> None:
    template = lay_out_confd(api.folder) / "templates" / "http.conf.tmpl"
    good = template.read_text()
    template.write_text(good.replace("daemon off;", "daemon off; no_such_directive on;"))

    index = publish(etcd, "api", instances={"r1-1": {"http": backends[1].address}})

    def told() -> str | None:
        error = (api.announced() or {})["error"]
        return error if error and "no_such_directive" in error else None

    eventually(told, what="the router says what is wrong")
    assert api.get("api.test").json()["instance"] == "one"
    assert api.health() == 200

    template.write_text(good)

    api.wait_until_applied(index)
    assert api.get("api.test").json()["instance"] == "two"


def test_reload_that_nginx_did_not_take_is_tried_again(
    etcd: EtcdServer, api: Router, backends: tuple[Backend, Backend]
) -> None:
    # `nginx -t` skips ports in use, so it passes; then the master can't bind and keeps its workers
    template = lay_out_confd(api.folder) / "templates" / "http.conf.tmpl"
    good = template.read_text()
    port = free_port()
    listener = f"server {{ listen {port}; }}\n    # --- the router's own health"
    template.write_text(good.replace("# --- the router's own health", listener))
    occupied = Backend("occupant", port=port)
    with serving(occupied):
        index = publish(etcd, "api", instances={"r1-1": {"http": backends[1].address}})

        def told() -> bool:
            return "did not take" in str((api.announced() or {})["error"])

        eventually(told, what="the router says that nginx kept its old configuration")
        state = api.announced()
        assert state is not None
        assert state["applied"] < index
        assert api.health() == 200

    api.wait_until_applied(index)
    assert api.get("api.test").json()["instance"] == "two"


def masters(router: Router) -> set[int]:
    """The master processes of the router's nginx: of sites, and of TCP and UDP."""
    return {
        child
        for child in processes.children(router.agent)
        if processes.title(child).startswith("nginx: master")
    }


def kill(master: int, router: Router) -> None:
    """Kill a master process; wait for the next one."""
    others = masters(router)
    os.kill(master, signal.SIGKILL)
    eventually(lambda: bool(masters(router) - others), what="there is a new nginx")


def test_dead_nginx_is_started_again(
    etcd: EtcdServer, api: Router, backends: tuple[Backend, Backend]
) -> None:
    (master,) = masters(api)

    kill(master, api)

    index = publish(etcd, "api", instances={"r1-1": {"http": backends[1].address}})
    api.wait_until_applied(index)
    assert {api.get("api.test").json()["instance"] for _ in range(10)} == {"two"}


def test_dead_nginx_of_tcp_and_udp_is_started_again(
    unsteady_etcd: EtcdServer, folder: Path
) -> None:
    # an etcd of its own: another router on this machine would want to listen on the same port
    port, one, two = free_port(), TcpEcho("one"), TcpEcho("two")

    def serve(voice: TcpEcho) -> None:
        address = f"127.0.0.1:{voice.server_address[1]}"
        index = publish(
            unsteady_etcd,
            "voice",
            route={"hosts": [], "http": False, "tcp": [{"port": port}]},
            instances={"r1-1": {"tcp": {str(port): address}}},
        )
        router.wait_until_applied(index)

    with serving(one, two), running(Router(etcd=unsteady_etcd, folder=folder)) as router:
        (sites,) = masters(router)
        serve(one)
        (streams,) = masters(router) - {sites}

        kill(streams, router)

        serve(two)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"two hello\n"
        assert sites in masters(router)


def test_sigterm_turns_the_router_unhealthy_then_serves_on_then_ends(
    etcd: EtcdServer, folder: Path, backends: tuple[Backend, Backend]
) -> None:
    publish(etcd, "api", route=API, instances={"r1-1": {"http": backends[0].address}})
    router = Router(etcd=etcd, folder=folder, environment={"ROUTER_DRAIN": "2"})
    with running(router):
        eventually(lambda: router.get("api.test").status_code == 200, what="api is served")
        assert router.process is not None

        router.process.terminate()

        eventually(lambda: router.health() == 503, what="the health check fails")
        assert router.get("api.test").status_code == 200
        # a rollout must still wait for it
        index = publish(etcd, "api", instances={"r1-1": {"http": backends[1].address}})
        router.wait_until_applied(index)
        assert router.health() == 503
        assert router.process.wait(20) == 0
    assert router.announced() is None
    assert router.health() is None


def test_open_request_survives_the_end_of_the_router(
    etcd: EtcdServer, folder: Path, backends: tuple[Backend, Backend]
) -> None:
    publish(etcd, "api", route=API, instances={"r1-1": {"http": backends[0].address}})
    router = Router(etcd=etcd, folder=folder, environment={"ROUTER_DRAIN": "0"})
    with running(router), ThreadPoolExecutor() as pool:
        eventually(lambda: router.get("api.test").status_code == 200, what="api is served")
        answer = pool.submit(router.get, "api.test", "/slow")
        eventually(lambda: ("GET", "/slow") in backends[0].requests, what="the request is open")

        assert router.stop() == 0

        assert answer.result().status_code == 200


def test_empty_services_directory_is_accepted(router: Router) -> None:
    assert router.get("anything.test").status_code == 404


def test_missing_services_directory_is_waited_for(
    unsteady_etcd: EtcdServer, folder: Path, backends: tuple[Backend, Backend]
) -> None:
    unsteady_etcd.client.delete("/services", recursive=True)
    router = Router(etcd=unsteady_etcd, folder=folder)
    router.start()
    try:
        state = eventually(router.announced, what="the router announces itself")
        assert state["applied"] == 0

        publish(unsteady_etcd, "api", route=API, instances={"r1-1": {"http": backends[0].address}})

        eventually(lambda: router.health() == 200, what="the router is healthy")
        assert router.get("api.test").status_code == 200
    finally:
        router.stop()
