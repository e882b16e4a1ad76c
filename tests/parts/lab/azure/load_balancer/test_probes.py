"""When a VM counts as healthy."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from lab.azure.load_balancer.config import BalancingRule, Probe
from lab.azure.load_balancer.probes import Probes
from tests.eventually import eventually_async
from tests.parts.lab.azure.load_balancer.conftest import Serve
from tests.unit.lab.azure.load_balancer.pool import allow, rule, security

INTERVAL = 0.3
"""Seconds. A VM must answer within it, so it is not too short for a busy computer."""


@dataclass
class Site:
    """A VM whose answer a test can change."""

    status: int = 200
    asked: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.decode().splitlines()[0])
        writer.write(f"HTTP/1.1 {self.status} Whatever\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()


@pytest.fixture
async def probes() -> AsyncIterator[Probes]:
    made = Probes(lambda: None)
    yield made
    made.stop()


def probed(port: int, **changes: object) -> BalancingRule:
    settings = {"protocol": "Http", "path": "/health", "interval": INTERVAL, **changes}
    return rule(80, port, 1, probe=Probe(id="lb/probes/web", port=port, **settings))  # type: ignore[arg-type]


def reason(probes: Probes) -> str:
    (state,) = probes.states().values()
    return state.reason


async def test_a_vm_is_unhealthy_until_its_first_success(
    probes: Probes, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, Site())
    made = probed(port)

    probes.watch([made])

    assert not probes.is_healthy(made, made.backends[0])
    await eventually_async(lambda: probes.is_healthy(made, made.backends[0]))


async def test_only_200_is_healthy(probes: Probes, port: int, serve: Serve) -> None:
    site = Site(status=204)
    await serve("127.9.0.1", port, site)
    made = probed(port)
    probes.watch([made])

    await eventually_async(lambda: len(site.asked) > 3)

    assert not probes.is_healthy(made, made.backends[0])
    assert reason(probes) == "answered 204 Whatever"


async def test_the_path_is_asked_for(probes: Probes, port: int, serve: Serve) -> None:
    site = Site()
    await serve("127.9.0.1", port, site)

    probes.watch([probed(port)])

    await eventually_async(lambda: bool(site.asked))
    assert site.asked[0] == "GET /health HTTP/1.1"


@pytest.mark.parametrize(
    ("settings", "needed"), [({}, 1), ({"threshold": 3}, 3)], ids=["by default", "threshold 3"]
)
async def test_consecutive_probes_change_a_vms_health(
    port: int, serve: Serve, settings: dict[str, object], needed: int
) -> None:
    site = Site()
    turns: list[int] = []
    probes = Probes(lambda: turns.append(len(site.asked)))
    await serve("127.9.0.1", port, site)

    probes.watch([probed(port, **settings)])
    await eventually_async(lambda: len(turns) == 1)
    site.status = 503
    site.asked.clear()
    await eventually_async(lambda: len(turns) == 2)
    probes.stop()

    assert turns == [needed, needed]


async def test_a_tcp_probe_needs_a_connection_only(probes: Probes, port: int, serve: Serve) -> None:
    server = await serve("127.9.0.1", port)
    made = probed(port, protocol="Tcp")
    probes.watch([made])
    await eventually_async(lambda: probes.is_healthy(made, made.backends[0]))

    server.close()

    await eventually_async(lambda: not probes.is_healthy(made, made.backends[0]))


async def test_a_vm_that_hangs_is_unhealthy(probes: Probes, port: int, serve: Serve) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    await serve("127.9.0.1", port, hang)
    probes.watch([probed(port)])

    await eventually_async(lambda: reason(probes) == "no answer in time")


async def test_a_group_without_room_for_the_balancer_makes_vms_unhealthy(
    probes: Probes, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, Site())
    closed = security(
        allow("web", 100, "Internet", str(port)), allow("deny", 4096, "*", "*", access="Deny")
    )
    made = rule(80, port, 1, security=closed, probe=probed(port).probe)

    probes.watch([made])

    await eventually_async(lambda: reason(probes) == "probe denied by core/deny")


async def test_a_changed_group_is_heeded_without_a_healthy_vm_losing_its_state(
    probes: Probes, port: int, serve: Serve
) -> None:
    await serve("127.9.0.1", port, Site())
    made = probed(port)
    probes.watch([made])
    await eventually_async(lambda: probes.is_healthy(made, made.backends[0]))

    still_open = replace(made, security=security(allow("other", 100, "*", "*")))
    probes.watch([still_open])
    kept = probes.is_healthy(still_open, made.backends[0])
    closed = security(allow("deny", 100, "*", "*", access="Deny"))
    probes.watch([replace(made, security=closed)])

    assert kept
    await eventually_async(lambda: reason(probes) == "probe denied by core/deny")


async def test_the_default_rules_let_probes_in(probes: Probes, port: int, serve: Serve) -> None:
    await serve("127.9.0.1", port, Site())
    made = rule(80, port, 1, security=security(), probe=probed(port).probe)

    probes.watch([made])

    await eventually_async(lambda: probes.is_healthy(made, made.backends[0]))


async def test_a_rule_without_a_probe_counts_every_vm_as_healthy(probes: Probes) -> None:
    made = rule(80, 80)
    probes.watch([made])

    assert all(probes.is_healthy(made, backend) for backend in made.backends)


async def test_a_vm_that_left_is_not_probed(probes: Probes, port: int, serve: Serve) -> None:
    site = Site()
    await serve("127.9.0.1", port, site)
    probes.watch([probed(port)])
    await eventually_async(lambda: len(site.asked) > 1)

    probes.watch([])
    seen = len(site.asked)
    await asyncio.sleep(INTERVAL * 4)

    assert len(site.asked) <= seen + 1
    assert not probes.states()
