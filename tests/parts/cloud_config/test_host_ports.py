"""The counter of host ports: a port that routers know as one instance's is not another's soon."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from contract.ports import HOST_PORTS, INSTANCE_PORTS
from tests.program import rendered
from tests.program.node_folder import NodeFolder

COUNTER = "/var/lib/fleet-node/host-port"
FIRST, LAST = HOST_PORTS[0], HOST_PORTS[-1]


@pytest.fixture(autouse=True)
def _quiet_node(node: NodeFolder) -> None:
    """Nothing listens on the node, whatever does on this machine."""
    uses(node)


def uses(node: NodeFolder, *ports: int) -> None:
    lines = "".join(f"tcp LISTEN 0 4096 10.20.0.4:{port} 0.0.0.0:*\\n" for port in ports)
    node.play("ss", f'printf "Netid State Recv-Q Send-Q Local Address:Port\\n{lines}"')


def given(node: NodeFolder, count: int = 1) -> list[int]:
    done = node.run("host-ports", str(count))
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.splitlines()]


def test_every_start_advances_the_counter(node: NodeFolder) -> None:
    node.write(COUNTER, "40000\n")

    assert [given(node), given(node, 3), given(node)] == [[40000], [40001, 40002, 40003], [40004]]


def test_parallel_starts_get_different_ports(node: NodeFolder) -> None:
    with ThreadPoolExecutor(8) as starts:
        ports = [port for each in starts.map(lambda _: given(node, 2), range(16)) for port in each]

    assert len(set(ports)) == 32


def test_counter_survives_a_power_cut(node: NodeFolder) -> None:
    """A port is used only after the disk has the number that comes after it."""
    node.write(COUNTER, "40000\n")
    node.play("sync", "exit 1")

    assert node.run("host-ports", "1").returncode != 0

    node.play("sync")
    given(node)
    calls = [call for call in node.calls if call.startswith("sync")]
    assert calls[-2:] == [f"sync {COUNTER}.new", "sync /var/lib/fleet-node"]


def test_port_in_use_is_skipped(node: NodeFolder) -> None:
    node.write(COUNTER, "40000\n")
    uses(node, 40000, 40002)

    assert given(node, 2) == [40001, 40003]


def test_counter_starts_over_only_after_the_whole_range(node: NodeFolder) -> None:
    node.write(COUNTER, f"{LAST}\n")

    assert given(node, 2) == [LAST, FIRST]


def test_range_without_a_free_port_is_an_error(node: NodeFolder) -> None:
    uses(node, *range(FIRST, LAST + 1))

    done = node.run("host-ports", "1")

    assert done.returncode == 1
    assert "all ports from 32768 to 49151 are in use" in done.stderr


@pytest.mark.parametrize("left", [None, "", "x\n", "80\n", "99999\n"])
def test_without_a_counter_the_first_port_is_random(node: NodeFolder, left: str | None) -> None:
    """A node whose disk was made anew gives out other ports than the one before it."""
    starts = set()
    for _ in range(4):
        node.file(COUNTER).unlink(missing_ok=True)
        if left is not None:
            node.write(COUNTER, left)
        (port,) = given(node)
        assert FIRST <= port <= LAST
        starts.add(port)

    assert len(starts) > 1


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_real_list_of_sockets_is_understood(node: NodeFolder, kind: socket.SocketKind) -> None:
    node.file("/stubs/ss").unlink()
    with socket.socket(socket.AF_INET, kind) as used:
        port = next(port for port in range(FIRST, LAST) if _bound(used, port))
        if kind == socket.SOCK_STREAM:
            used.listen()
        node.write(COUNTER, f"{port}\n")

        assert given(node) != [port]


def _bound(used: socket.socket, port: int) -> bool:
    try:
        used.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def test_kernel_keeps_the_range_for_instances_and_the_network_opens_it(node: NodeFolder) -> None:
    script = node.file("/opt/bin/host-ports").read_text()
    units = yaml.safe_load(rendered.cloud_config())["coreos"]["units"]
    (network,) = (unit["content"] for unit in units if unit["name"] == "node-network.service")

    assert f"\nFIRST={FIRST}\nLAST={LAST}\n" in script
    assert f"net.ipv4.ip_local_reserved_ports={FIRST}-{LAST}" in network
    assert INSTANCE_PORTS[0] <= FIRST < LAST <= INSTANCE_PORTS[-1]
