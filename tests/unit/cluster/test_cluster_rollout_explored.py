"""Any sequence of rollouts, interruptions, faults and lost machines, as hypothesis finds them.

What must hold: no router ever sends a request to an instance that is down, as many instances serve
as the smaller of the old and the new number, and one undisturbed rollout puts everything right.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cluster.errors import ClusterError, Interrupted
from cluster.etcd import EtcdError
from tests.unit.cluster.services import Wanted, World

MACHINES = 4
VERSIONS = st.sampled_from(["1.0", "1.1", "1.2"])
INSTANCES = st.integers(min_value=1, max_value=3)
FAULTS = st.lists(st.sampled_from(["", "", "", "before", "after"]), max_size=40)
FLEET_FAULTS = st.lists(st.sampled_from(["", "", "before", "after", "unavailable"]), max_size=30)


class Rollouts(RuleBasedStateMachine):
    """One service on four machines."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(machines=MACHINES)
        self.lost = 0

    @rule(version=VERSIONS, instances=INSTANCES)
    def apply(self, version: str, instances: int) -> None:
        wanted = Wanted(version=version, instances=instances)

        self._while_serving(wanted, lambda: self.world.apply(wanted))

        self._assert_serves(wanted)

    @rule(
        version=VERSIONS,
        instances=INSTANCES,
        requests=st.integers(min_value=0, max_value=400),
        answered=st.booleans(),
    )
    def apply_is_interrupted(
        self, version: str, instances: int, requests: int, answered: bool
    ) -> None:
        wanted = Wanted(version=version, instances=instances)

        def interrupted() -> None:
            self.world.interrupt_after(requests, answered=answered)
            with suppress(Interrupted):
                self.world.apply(wanted)

        self._while_serving(wanted, interrupted)

    @rule(
        version=VERSIONS,
        instances=INSTANCES,
        requests=st.integers(min_value=0, max_value=400),
        answered=st.booleans(),
    )
    def apply_is_killed_and_taken_back(
        self, version: str, instances: int, requests: int, answered: bool
    ) -> None:
        before = self._finished()
        if before is None:
            return

        def killed() -> None:
            self.world.kill_after(requests, answered=answered)
            with suppress(Interrupted):
                self.world.apply(Wanted(version=version, instances=instances))
            self._fair_weather()
            self.world.apply(before)

        self._while_serving(Wanted(instances=instances), killed)

        self._assert_serves(before)

    @rule(requests=st.integers(min_value=0, max_value=200))
    def remove_is_interrupted(self, requests: int) -> None:
        self.world.interrupt_after(requests, answered=True)

        with suppress(Interrupted):
            self.world.remove()
        self._fair_weather()

    @rule(version=VERSIONS, instances=INSTANCES, etcd=FAULTS, fleet=FLEET_FAULTS)
    def apply_amid_faults(
        self, version: str, instances: int, etcd: list[str], fleet: list[str]
    ) -> None:
        wanted = Wanted(version=version, instances=instances)
        self.world.etcd.faults = list(etcd)
        self.world.cluster.faults = list(fleet)

        def troubled() -> None:
            with suppress(ClusterError, EtcdError):
                self.world.apply(wanted)

        self._while_serving(wanted, troubled)

    @rule(instances=INSTANCES)
    def apply_a_broken_release(self, instances: int) -> None:
        wanted = Wanted(version="1.4", instances=instances)
        self.world.cluster.weather.unhealthy.add("api %i 1.4")

        def failing() -> None:
            with suppress(ClusterError):
                self.world.apply(wanted)

        self._while_serving(wanted, failing)

        assert not any(wanted.release in name for name in self.world.launched())

    @rule()
    def a_machine_is_replaced(self) -> None:
        cluster = self.world.cluster
        self.lost += 1
        cluster.lose_machine(next(iter(cluster.machines)))
        cluster.machines[f"{self.lost:032x}"] = f"10.0.1.{self.lost}"
        self.world.let_pass(40)  # the others take over, the routers forget
        cluster.lost_requests.clear()

    @rule()
    def a_machine_dies_and_fleet_does_not_know(self) -> None:
        cluster = self.world.cluster
        living = cluster.living()
        if len(living) < MACHINES:
            return  # one at a time
        cluster.kill_machine(living[0])
        self.lost += 1
        cluster.machines[f"{self.lost:032x}"] = f"10.0.1.{self.lost}"
        self.world.let_pass(20)
        cluster.lost_requests.clear()

    @invariant()
    def no_router_sent_anybody_to_an_instance_that_was_down(self) -> None:
        assert self.world.cluster.lost_requests == []

    @invariant()
    def no_lock_is_left_behind(self) -> None:
        assert not [key for key in self.world.etcd.entries if key.startswith("/locks/")]

    def teardown(self) -> None:
        self._fair_weather()
        wanted = Wanted(version="1.3", instances=2)
        self.world.apply(wanted)
        self._assert_serves(wanted)
        self.world.remove()
        assert self.world.cluster.units == {}

    def _fair_weather(self) -> None:
        """No more faults, and what was ordered before an interruption has happened."""
        self.world.no_interrupt()
        self.world.etcd.faults.clear()
        self.world.cluster.faults.clear()
        self.world.let_pass(5)

    def _finished(self) -> Wanted | None:
        """What the last rollout that was finished asked for."""
        record = self.world.record()
        if record.current is None:
            return None
        entry = record.ledger[record.current]
        return Wanted(version=entry.image.rpartition(":")[2], instances=entry.instances)

    def _while_serving(self, wanted: Wanted, act: Callable[[], None]) -> None:
        """As many instances serve all the time as the smaller of before and after; what a failure
        goes back to is the last release that was finished."""
        serving = self.world.cluster.serving
        record = self.world.record()
        least = min(len(serving[-1]), wanted.instances)
        if record.current:
            least = min(least, record.ledger[record.current].instances)
        since = len(serving)
        act()
        self._fair_weather()
        assert min((len(served) for served in serving[since:]), default=least) >= least

    def _assert_serves(self, wanted: Wanted) -> None:
        release = wanted.release
        assert self.world.served() == {f"{release}-{n}" for n in range(1, wanted.instances + 1)}
        assert self.world.launched() == {
            f"api-{release}{kind}@{n}.service"
            for kind in ("", "-announce")
            for n in range(1, wanted.instances + 1)
        }
        assert self.world.record().current == release


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(
    max_examples=40,
    stateful_step_count=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
