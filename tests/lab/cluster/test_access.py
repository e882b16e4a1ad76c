"""Who reaches what, and who doesn't: security groups on real traffic, the containers' firewall."""

from __future__ import annotations

import socket

import pytest

from contract.ports import PUBLIC_SSH
from lab.commands import shell
from tests.lab.stack import LabStack


def test_ssh_greets_an_administrator(stack: LabStack) -> None:
    assert greeting(stack.public_ip, source="127.0.0.1").startswith(b"SSH-2.0")


def test_ssh_refuses_other_keys(stack: LabStack) -> None:
    assert greeting(stack.public_ip, source="127.0.0.9") == b""


def test_web_ports_are_open_to_everyone(stack: LabStack) -> None:
    with socket.create_connection(
        (stack.public_ip, 80), timeout=10, source_address=("127.0.0.9", 0)
    ) as connection:
        connection.sendall(b"GET /json HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("port", [22, 2379, 2380, 5000, 8089, 49153])
def test_public_address_has_no_other_ports(stack: LabStack, port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((stack.public_ip, port), timeout=10)


@pytest.mark.parametrize(
    ("port", "reachable"),
    [(80, True), (2379, True), (2380, True), (22, False), (5000, False), (8089, False)],
)
def test_nodes_reach_only_the_ports_of_other_nodes_that_they_need(
    stack: LabStack, port: int, reachable: bool
) -> None:
    there = shell.nodes(stack.name)["core-1"]

    tried = stack.try_node("core-0", f"nc -n -z -w 5 {there} {port}")

    assert (tried.returncode == 0) is reachable, tried.stderr


@pytest.mark.parametrize(
    "target",
    [
        "169.254.169.254:80",  # tokens of the node's identity
        "168.63.129.16:80",
        "{here}:2379",
        "{there}:2379",
        "{there}:2380",
    ],
)
def test_an_app_reaches_neither_the_nodes_identity_nor_etcd(stack: LabStack, target: str) -> None:
    addresses = shell.nodes(stack.name)
    here = stack.instances()[0]["machine"]
    there = next(node for node in addresses if node != here)
    address = target.format(here=addresses[here], there=addresses[there])

    tried = from_container(stack, here, address)

    assert "refused" in tried or "timed out" in tried, tried


def test_an_app_reaches_the_other_instances(stack: LabStack) -> None:
    """So that the test before has something to be compared with."""
    one, other = stack.instances()

    assert from_container(stack, one["machine"], other["address"]) == "connected"


def greeting(address: str, *, source: str) -> bytes:
    """The greeting of the SSH port; empty if it closes the connection."""
    try:
        with socket.create_connection(
            (address, PUBLIC_SSH), timeout=10, source_address=(source, 0)
        ) as connection:
            return connection.recv(100)
    except ConnectionResetError:
        return b""


def from_container(stack: LabStack, node: str, address: str) -> str:
    """Connect from inside an instance of the sample service: `connected`, or what stood against."""
    host, _, port = address.partition(":")
    program = (
        "import socket\n"
        "try:\n"
        f"    socket.create_connection(('{host}', {port}), timeout=5)\n"
        "    print('connected')\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    container = stack.node(node, "docker ps --quiet --filter label=fleet.service=hello").split()[0]
    return stack.node(node, f'docker exec {container} python3 -c "{program}"').strip()
