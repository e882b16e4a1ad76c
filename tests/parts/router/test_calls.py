"""Calls of a real-time service: UDP beside an open TCP connection, held through every reload."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterator

import pytest

from tests.parts.router.harness import EtcdServer, Router, publish
from tests.parts.router.voice import Caller, VoiceServer
from tests.ports import free_port

Servers = tuple[VoiceServer, VoiceServer, VoiceServer]
ADDRESSES = [f"127.0.1.{n}" for n in range(1, 21)]


@pytest.fixture
def servers() -> Iterator[Servers]:
    one, two, three = (VoiceServer(name) for name in ("one", "two", "three"))
    with one.running(), two.running(), three.running():
        yield one, two, three


@contextlib.contextmanager
def calls(port: int, addresses: list[str], *, udp_port: int = 0) -> Iterator[list[Caller]]:
    """A call from each of these addresses; all are heard."""
    with contextlib.ExitStack() as stack:
        callers = []
        for address in addresses:
            callers.append(Caller(address, port, udp_port=udp_port))
            stack.callback(callers[-1].hang_up)
        assert_held(callers)
        yield callers


def assert_held(callers: list[Caller]) -> None:
    """Everybody's TCP and UDP still reach the instance that the call began with."""
    now = {caller.name: (caller.register(), caller.speak()) for caller in callers}
    assert now == {caller.name: (caller.instance, caller.instance) for caller in callers}


def serve(etcd: EtcdServer, router: Router, port: int, **instances: VoiceServer) -> None:
    """A voice service with these instances, applied by the router."""
    index = publish(
        etcd,
        "voice",
        route={"hosts": [], "http": False, "tcp": [{"port": port}], "udp": [{"port": port}]},
        instances={name.replace("_", "-"): one.key(port) for name, one in instances.items()},
    )
    router.wait_until_applied(index)


def lose(etcd: EtcdServer, router: Router, instance: str) -> None:
    change = etcd.client.delete(f"/services/voice/instances/{instance}")
    router.wait_until_applied(change.node.modified_index)


def test_calls_continue_while_another_instance_starts_and_stops(
    etcd: EtcdServer, router: Router, servers: Servers
) -> None:
    port = free_port()
    one, two, three = servers
    serve(etcd, router, port, r1_1=one, r1_2=two)
    with calls(port, ADDRESSES) as callers:
        assert {caller.instance for caller in callers} == {"one", "two"}

        for _ in range(3):
            serve(etcd, router, port, r1_3=three)
            assert_held(callers)
            lose(etcd, router, "r1-3")
            assert_held(callers)

        lose(etcd, router, "r1-2")
        assert_held([caller for caller in callers if caller.instance == "one"])


def test_tcp_and_udp_of_a_call_come_from_one_address(
    etcd: EtcdServer, router: Router, servers: Servers
) -> None:
    port = free_port()
    serve(etcd, router, port, r1_1=servers[0])

    # also on a node with several: here the kernel's own choice would be 127.0.0.1
    with calls(port, ADDRESSES[:1]) as (caller,):
        assert servers[0].registered[caller.name] == "127.0.0.2"
        assert servers[0].bound[caller.name][0] == "127.0.0.2"


def test_callers_with_the_same_port_on_different_addresses_are_distinguished(
    etcd: EtcdServer, router: Router, servers: Servers
) -> None:
    port, own_port = free_port(), free_port()
    one, two, _ = servers
    serve(etcd, router, port, r1_1=one)
    with calls(port, ADDRESSES, udp_port=own_port) as callers:
        assert len(set(one.bound.values())) == len(ADDRESSES)

        serve(etcd, router, port, r1_2=two)
        assert_held(callers)
        lose(etcd, router, "r1-2")
        assert_held(callers)


def test_callers_with_the_same_first_port_choice_get_different_ports(
    etcd: EtcdServer, router: Router, servers: Servers
) -> None:
    def choice(address: str, port: int) -> int:
        """As affinity.js computes it."""
        digest = hashlib.sha256(f"{address}:{port}".encode()).hexdigest()
        return int(digest[:8], 16) % 16384

    port, own_port = free_port(), free_port()
    same = next(
        [first, second]
        for first, second in itertools.combinations(
            [f"127.{a}.{b}.1" for a in (1, 2, 3) for b in range(200)], 2
        )
        if choice(first, own_port) == choice(second, own_port)
    )
    one, two, _ = servers
    serve(etcd, router, port, r1_1=one)
    with calls(port, same, udp_port=own_port) as callers:
        assert len(set(one.bound.values())) == 2

        serve(etcd, router, port, r1_2=two)

        callers.reverse()  # who comes first after the reload must not take the other one's port
        assert_held(callers)


def test_client_stays_where_its_connection_is_until_it_hangs_up(
    etcd: EtcdServer, router: Router, servers: Servers
) -> None:
    port = free_port()
    one, two, three = servers
    serve(etcd, router, port, r1_1=one)
    with calls(port, ADDRESSES) as callers:
        serve(etcd, router, port, r1_2=two, r1_3=three)

        with calls(port, ADDRESSES) as beside:
            assert {caller.instance for caller in beside} == {"one"}
        assert_held(callers)

    with calls(port, ADDRESSES) as later:
        assert {caller.instance for caller in later} == {"one", "two", "three"}


def test_caller_who_only_listens_keeps_hearing_while_other_services_change(
    etcd: EtcdServer, router: Router, servers: Servers
) -> None:
    port = free_port()
    one = servers[0]
    serve(etcd, router, port, r1_1=one)
    with calls(port, ADDRESSES) as callers:
        for n in range(3):
            route = {"hosts": [f"site-{n}.test"], "http": True}
            router.wait_until_applied(publish(etcd, f"site-{n}", route=route))

            for caller in callers:
                one.speak_to(caller.name, "hello")
                assert caller.listen(timeout=5) == "hello"
