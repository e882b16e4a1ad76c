"""The lock of a rollout."""

from __future__ import annotations

import pytest

from clients.errors import Interrupted
from clients.etcd import Etcd
from clients.etcd.lock import Lock, LockLost, LockTaken
from contract.keys import LOCK_TTL
from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_etcd import SimulatedEtcd


class Site:
    """Two holders, one etcd."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.server = SimulatedEtcd(self.clock)
        self.lines: list[str] = []

    def lock(self, holder: str, *, patience: float = 900) -> Lock:
        return Lock(
            Etcd(transport=self.server.transport, clock=self.clock),
            "api",
            holder=holder,
            clock=self.clock,
            progress=self.lines.append,
            patience=patience,
        )


@pytest.fixture
def site() -> Site:
    return Site()


def test_lock_exists_while_it_is_held(site: Site) -> None:
    with site.lock("core-0"):
        assert '"holder": "core-0"' in str(site.server.value("/locks/api"))

    assert site.server.value("/locks/api") is None


def test_long_work_keeps_the_lock(site: Site) -> None:
    with site.lock("core-0") as lock:
        for _ in range(10 * LOCK_TTL):
            lock.pause(1)

        assert site.server.value("/locks/api") is not None


def test_second_rollout_waits_and_names_the_holder(site: Site) -> None:
    with (
        site.lock("core-0") as first,
        pytest.raises(LockTaken, match="locked by core-0 since"),
        site.lock("core-1", patience=5),
    ):
        first.keep()

    assert any("locked by core-0" in line for line in site.lines)


def test_lock_of_a_dead_holder_is_taken_over_after_its_ttl(site: Site) -> None:
    site.lock("core-0").__enter__()
    began = site.clock.now()

    with site.lock("core-1"):
        assert site.clock.now() - began <= LOCK_TTL + 2


def test_interruption_releases_the_lock(site: Site) -> None:
    with pytest.raises(Interrupted), site.lock("core-0"):
        raise Interrupted("SIGINT")

    assert site.server.value("/locks/api") is None


def test_lock_is_ours_although_the_answer_to_the_write_was_lost(site: Site) -> None:
    site.server.faults = ["after"]

    with site.lock("core-0"):
        assert '"holder": "core-0"' in str(site.server.value("/locks/api"))


def test_holder_that_lost_the_lock_stops_and_leaves_the_new_one_alone(site: Site) -> None:
    first = site.lock("core-0")
    first.__enter__()
    site.clock.sleep(LOCK_TTL + 1)

    with site.lock("core-1"):
        with pytest.raises(LockLost):
            first.keep()
        first.__exit__(None, None, None)
        assert '"holder": "core-1"' in str(site.server.value("/locks/api"))


def test_short_outage_of_etcd_keeps_the_lock(site: Site) -> None:
    with site.lock("core-0") as lock:
        site.clock.sleep(20)
        site.server.faults = ["before"]
        lock.keep()
        lock.keep()

        assert site.server.value("/locks/api") is not None
