"""The name server, asked over UDP and TCP."""

import asyncio

import pytest
from dnslib import QTYPE, RCODE, DNSRecord  # type: ignore[import-untyped]

from lab.azure.host.platform_addresses import PLATFORM
from tests.parts.lab.azure.conftest import Running
from tests.unit.lab.azure.stored_resources import GROUP, StoredResources

OTHER_SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/other/subnets/core"


async def ask(running: Running, name: str, kind: str = "A", *, tcp: bool = False) -> DNSRecord:
    query = DNSRecord.question(name, kind)

    def send() -> bytes:
        answer: bytes = query.send("127.0.0.1", running.names_port, tcp=tcp, timeout=3)
        return answer

    return DNSRecord.parse(await asyncio.to_thread(send))


def addresses(record: DNSRecord) -> list[str]:
    return [str(each.rdata) for each in record.rr if QTYPE[each.rtype] == "A"]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    "name",
    ["media.blob.core.windows.net", "MEDIA.Blob.core.windows.net.", "safe.vault.azure.net"],
)
async def test_accounts_and_vaults_are_at_the_platforms_address(
    running: Running, stored: StoredResources, name: str, tcp: bool
) -> None:
    stored.account("media")
    stored.vault("safe")

    assert addresses(await ask(running, name, tcp=tcp)) == [PLATFORM]


@pytest.mark.parametrize(
    "name",
    [
        "none.blob.core.windows.net",
        "media.blob.core.windows.net.example.com",
        "media.file.core.windows.net",
        "example.com",
        "registry-1.docker.io",
    ],
)
async def test_other_names_do_not_exist(
    running: Running, stored: StoredResources, name: str
) -> None:
    stored.account("media")

    record = await ask(running, name)

    assert RCODE[record.header.rcode] == "NXDOMAIN"
    assert not record.rr


async def test_there_is_no_ipv6_but_the_name_exists(
    running: Running, stored: StoredResources
) -> None:
    stored.account("media")

    record = await ask(running, "media.blob.core.windows.net", "AAAA")

    assert RCODE[record.header.rcode] == "NOERROR"
    assert not record.rr


async def test_a_public_address_is_found_by_its_label(
    running: Running, stored: StoredResources
) -> None:
    stored.public_address("127.77.0.1", "fleet-dev.westeurope.cloudapp.azure.com")

    record = await ask(running, "fleet-dev.westeurope.cloudapp.azure.com")

    assert addresses(record) == ["127.77.0.1"]


async def test_vms_of_one_network_know_each_other_by_name(
    running: Running, stored: StoredResources
) -> None:
    stored.vm("127.0.0.1", index=0)
    stored.vm("10.31.0.5", index=1)
    stored.vm("10.32.0.6", index=2, subnet=OTHER_SUBNET)

    assert addresses(await ask(running, "core000001")) == ["10.31.0.5"]
    assert addresses(await ask(running, "core000002")) == []


async def test_vm_names_do_not_resolve_outside_their_network(
    running: Running, stored: StoredResources
) -> None:
    stored.vm("10.31.0.5", index=1)

    assert addresses(await ask(running, "core000001")) == []


async def test_a_deleted_account_no_longer_resolves(
    running: Running, stored: StoredResources
) -> None:
    account = stored.account("media")
    await ask(running, "media.blob.core.windows.net")

    stored.store.delete(account)

    assert addresses(await ask(running, "media.blob.core.windows.net")) == []


async def test_garbage_does_not_stop_the_server(running: Running, stored: StoredResources) -> None:
    stored.account("media")
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", running.names_port)
    )

    transport.sendto(b"not a DNS message")
    transport.close()

    assert addresses(await ask(running, "media.blob.core.windows.net")) == [PLATFORM]
