"""TCP and UDP of one client reach the same instance, through any router, for as long as it lives.

Rendezvous hashing over the numbers of the instances, by the njs script in the real nginx.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.eventually import eventually
from tests.parts.router.backends import TcpEcho, UdpEcho, serving
from tests.parts.router.harness import EtcdServer, Router, in_container, publish, running
from tests.ports import free_port

CLIENTS = [f"127.0.1.{n}" for n in range(1, 41)]


class Voice:
    """One instance of a voice service: TCP and UDP on ports of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tcp = TcpEcho(name)
        self.udp = UdpEcho(name)

    def key(self, port: int) -> dict[str, object]:
        """Its instance key, for a service published on this port."""
        return {
            "tcp": {str(port): f"127.0.0.1:{self.tcp.server_address[1]}"},
            "udp": {str(port): f"127.0.0.1:{self.udp.server_address[1]}"},
        }

    def close(self) -> None:
        """Without ever having served: its ports refuse everything."""
        self.tcp.server_close()
        self.udp.server_close()


@contextmanager
def voices(*names: str) -> Iterator[list[Voice]]:
    made = [Voice(name) for name in names]
    with serving(*(server for voice in made for server in (voice.tcp, voice.udp))):
        yield made


def open_call(port: int, client: str) -> socket.socket:
    """A TCP connection from this client's address."""
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(client, 0))


def say(call: socket.socket) -> str:
    """Who answers on an open connection."""
    call.sendall(b"\n")
    return call.recv(100).split()[0].decode()


def by_tcp(port: int, client: str) -> str:
    with open_call(port, client) as call:
        return say(call)


def by_udp(port: int, client: str) -> str | None:
    """Who answers a client's datagram; None if nobody does."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(1)
        udp.bind((client, 0))
        udp.sendto(b"x", ("127.0.0.1", port))
        try:
            return udp.recv(100).decode().partition(" ")[0] or None
        except TimeoutError:
            return None


def serve(etcd: EtcdServer, port: int, instances: Mapping[str, Voice], name: str = "voice") -> int:
    return publish(
        etcd,
        name,
        route={"hosts": [], "http": False, "tcp": [{"port": port}], "udp": [{"port": port}]},
        instances={key: voice.key(port) for key, voice in instances.items()},
    )


def test_tcp_and_udp_of_a_client_reach_the_same_instance_through_any_router(
    etcd: EtcdServer, router: Router, folder: Path
) -> None:
    port = free_port()
    with voices("one", "two", "three") as (one, two, three):
        index = serve(etcd, port, {"r1-1": one, "r1-2": two, "r1-3": three})
        router.wait_until_applied(index)

        tcp = {client: by_tcp(port, client) for client in CLIENTS}
        udp = {client: by_udp(port, client) for client in CLIENTS}

        assert tcp == udp
        assert min(Counter(tcp.values())[name] for name in ("one", "two", "three")) >= 5

        # another router, where the same instances have other addresses and another release
        other_port = free_port()
        with (
            voices("one", "two", "three") as (one, two, three),
            running(Router(etcd=etcd, folder=folder)) as other,
        ):
            etcd.client.delete("/services/voice", recursive=True)
            index = serve(etcd, other_port, {"r2-3": three, "r2-1": one, "r2-2": two})
            other.wait_until_applied(index)
            assert {client: by_tcp(other_port, client) for client in CLIENTS} == tcp


def test_clients_of_a_dead_instance_move_and_others_stay(etcd: EtcdServer, router: Router) -> None:
    port = free_port()
    with voices("one", "two", "three") as (one, two, three):
        index = serve(etcd, port, {"r1-1": one, "r1-2": two, "r1-3": three})
        router.wait_until_applied(index)
        before = {client: by_tcp(port, client) for client in CLIENTS}
        gone = Voice("four")
        gone.close()

        # dead, and still announced
        index = serve(etcd, port, {"r1-1": one, "r1-2": gone, "r1-3": three})
        router.wait_until_applied(index)

        after = {client: by_tcp(port, client) for client in CLIENTS}
        assert {client for client in CLIENTS if before[client] != after[client]} == {
            client for client in CLIENTS if before[client] == "two"
        }

        # now its announcement is gone, too: UDP follows, and nobody moves a second time
        key = "/services/voice/instances/r1-2"
        router.wait_until_applied(etcd.client.delete(key).node.modified_index)
        assert {client: by_tcp(port, client) for client in CLIENTS} == after
        assert {client: by_udp(port, client) for client in CLIENTS} == after


def test_open_call_goes_on_while_other_instances_come_and_go(
    etcd: EtcdServer, router: Router
) -> None:
    port = free_port()
    with voices("one", "two", "three") as (one, two, three):
        router.wait_until_applied(serve(etcd, port, {"r1-1": one, "r1-2": two}))
        calls = {client: open_call(port, client) for client in CLIENTS}
        before = {client: say(call) for client, call in calls.items()}

        router.wait_until_applied(serve(etcd, port, {"r1-3": three}))
        gone = etcd.client.delete("/services/voice/instances/r1-2")
        router.wait_until_applied(gone.node.modified_index)

        assert {client: say(call) for client, call in calls.items()} == before
        of_one = [client for client in CLIENTS if before[client] == "one"]
        # a client's own instance lives: its TCP and UDP stay there, unless the new one got it
        for client in of_one:
            assert by_tcp(port, client) == by_udp(port, client) in ("one", "three")
        assert [by_tcp(port, client) for client in of_one].count("one") > 0
        for call in calls.values():
            call.close()


def test_during_a_rollout_clients_stay_with_the_old_instance_until_it_goes(
    etcd: EtcdServer, router: Router
) -> None:
    port = free_port()
    with voices("old-1", "old-2", "new-1") as (old_1, old_2, new_1):
        # "ff" sorts after "0b": it is the order of arrival that counts
        router.wait_until_applied(serve(etcd, port, {"ff-1": old_1, "ff-2": old_2}))
        before = {client: by_tcp(port, client) for client in CLIENTS}

        router.wait_until_applied(serve(etcd, port, {"0b-1": new_1}))

        assert {client: by_tcp(port, client) for client in CLIENTS} == before
        assert {client: by_udp(port, client) for client in CLIENTS} == before

        gone = etcd.client.delete("/services/voice/instances/ff-1")
        router.wait_until_applied(gone.node.modified_index)

        after = {client: by_tcp(port, client) for client in CLIENTS}
        assert after == {
            client: "new-1" if instance == "old-1" else instance
            for client, instance in before.items()
        }


def test_single_instance_gets_all_clients(etcd: EtcdServer, router: Router) -> None:
    port = free_port()
    with voices("one") as (one,):
        router.wait_until_applied(serve(etcd, port, {"r1-1": one}))

        assert {by_tcp(port, client) for client in CLIENTS[:5]} == {"one"}
        assert {by_udp(port, client) for client in CLIENTS[:5]} == {"one"}


def test_port_may_be_added_and_removed(etcd: EtcdServer, router: Router) -> None:
    first, second = free_port(), free_port()
    with voices("one") as (one,):
        router.wait_until_applied(serve(etcd, first, {"r1-1": one}))
        both = one.key(first)
        for protocol in ("tcp", "udp"):
            both[protocol] |= one.key(second)[protocol]  # type: ignore[operator]
        ports = [{"port": first}, {"port": second}]
        route = {"hosts": [], "http": False, "tcp": ports, "udp": ports}
        index = publish(etcd, "voice", route=route, instances={"r1-1": both})

        router.wait_until_applied(index)

        assert by_tcp(second, CLIENTS[0]) == by_udp(second, CLIENTS[0]) == "one"
        ports.pop(0)
        router.wait_until_applied(publish(etcd, "voice", route=route))
        with pytest.raises(ConnectionRefusedError):
            by_tcp(first, CLIENTS[0])
        assert by_tcp(second, CLIENTS[0]) == "one"


# --- the choice itself ----------------------------------------------------------------------------

NUMBERS = range(1, 7)
SETS = [
    frozenset(chosen) for size in range(1, 5) for chosen in combinations(NUMBERS, size)
]  # every set of up to four instances


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[frozenset[int], int]]:
    """A real nginx that only says what the script chose: a port for every set of instances."""
    folder = tmp_path_factory.mktemp("oracle")
    ports = {chosen: free_port() for chosen in SETS}
    servers = "".join(
        f"server {{ listen 127.0.0.1:{port}; set $service x; "
        f"set $instances '{' '.join(map(str, chosen))}'; return '$first_choice $two_choices'; }}\n"
        for chosen, port in ports.items()
    )
    modules, share = "/usr/lib/nginx/modules", "/usr/share/router"
    (folder / "nginx.conf").write_text(
        f"load_module {modules}/ngx_stream_module.so;\n"
        f"load_module {modules}/ngx_stream_js_module.so;\n"
        f"daemon off; pid {folder}/nginx.pid; error_log stderr warn; events {{}}\n"
        f"stream {{ js_path {share}; include {share}/nginx/stream.conf;\n{servers} }}\n"
    )
    command = in_container(f"oracle-{os.getpid()}", "nginx", {})
    process = subprocess.Popen([*command, "-c", folder / "nginx.conf"])

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", ports[SETS[0]])) == 0

    try:
        eventually(answers, what="nginx answers")
        yield ports
    finally:
        process.terminate()
        process.wait()


clients = st.integers(1, 250 * 250 * 200).map(
    lambda n: f"127.{n // 62500 % 250 + 1}.{n // 250 % 250}.{n % 250 + 1}"
)


def choice(ports: Mapping[frozenset[int], int], chosen: frozenset[int], client: str) -> list[int]:
    """The client's first and second instance among those chosen."""
    with open_call(ports[chosen], client) as answer:
        first, _, two = answer.recv(100).decode().partition(" ")
    assert two.split("-")[0] == first
    return [int(number) for number in two.split("-")]


@settings(max_examples=150, deadline=None)
@given(chosen=st.sampled_from(SETS), other=st.sampled_from(NUMBERS), client=clients)
def test_starting_or_lost_instance_moves_only_its_clients(
    oracle: Mapping[frozenset[int], int], chosen: frozenset[int], other: int, client: str
) -> None:
    if other in chosen or len(chosen) == 4:
        return
    few, many = choice(oracle, chosen, client), choice(oracle, chosen | {other}, client)

    # it comes: a client moves to it, or not at all; it goes: only its own clients move
    assert many[0] in (few[0], other)
    # where its clients go when it has gone is where they fell over to when it died
    if many[0] == other:
        assert many[1] == few[0]
    assert len(set(many)) == 2


SPREAD = [f"127.9.{n // 200}.{n % 200 + 1}" for n in range(600)]


def test_clients_are_spread_evenly(oracle: Mapping[frozenset[int], int]) -> None:
    counts = Counter(choice(oracle, frozenset({1, 2, 3}), client)[0] for client in SPREAD)

    assert all(150 <= counts[number] <= 250 for number in (1, 2, 3)), counts
