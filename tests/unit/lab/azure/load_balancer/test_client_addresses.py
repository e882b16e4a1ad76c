"""The addresses that VMs see for clients."""

from ipaddress import IPv4Address

import pytest

from lab.azure.load_balancer.client_addresses import CLIENTS, seen_as


@pytest.mark.parametrize(
    ("client", "seen"),
    [("127.0.0.1", "198.18.0.1"), ("127.1.2.3", "198.19.2.3"), ("192.168.1.9", "198.18.1.9")],
)
def test_a_client_keeps_the_low_part_of_its_address(client: str, seen: str) -> None:
    assert seen_as(client) == seen


def test_neighbours_get_different_addresses() -> None:
    clients = [f"127.0.{n // 200}.{n % 200 + 1}" for n in range(2000)]

    seen = {seen_as(client) for client in clients}

    assert len(seen) == len(clients)
    assert all(IPv4Address(each) in CLIENTS for each in seen)
