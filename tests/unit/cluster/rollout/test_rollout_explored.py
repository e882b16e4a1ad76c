"""Any sequence of changes, interruptions, faults and lost machines, as hypothesis finds them.

What must hold: no router ever sends a request to an instance that is down, or to another service's;
as many instances serve as the smaller of the old and the new number; and two minutes after the end
of any trouble the cluster is what Pulumi believes it to be.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clients.errors import ClusterError, Interrupted
from clients.etcd import EtcdError
from tests.unit.cluster.services import Killed, Wanted, World

MACHINES = 4
TWO_MINUTES = 120.0
OTHER = Wanted(name="web", version="1.4", instances=2)
ROUTES = st.sampled_from([{"hosts": [host], "http": True} for host in ("a.tok.tv", "b.tok.tv")])
SERVICES = st.builds(
    Wanted,
    version=st.sampled_from(["1.0", "1.1", "1.2"]),
    instances=st.integers(min_value=1, max_value=3),
    route=ROUTES,
)
TOO_MANY = st.builds(Wanted, version=st.just("1.0"), instances=st.just(9), route=ROUTES)
REQUESTS = st.integers(min_value=0, max_value=400)
FAULTS = st.lists(st.sampled_from(["", "", "", "before", "after"]), max_size=40)
FLEET_FAULTS = st.lists(st.sampled_from(["", "", "before", "after", "unavailable"]), max_size=30)


class Rollouts(RuleBasedStateMachine):
    """One service that changes and one that does not, on four machines."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(machines=MACHINES)
        self.lost = 0

    @initialize()
    def another_service_is_there(self) -> None:
        self.world.apply(OTHER)

    # --- changes that succeed -----------------------------------------------------------------

    @rule(wanted=SERVICES)
    def apply(self, wanted: Wanted) -> None:
        self._while_serving(wanted, lambda: self.world.apply(wanted))

        assert not self.world.marks()
        self._assert_serves()

    @rule()
    def remove(self) -> None:
        self.world.remove()

        self._assert_serves()

    # --- changes that do not ------------------------------------------------------------------

    @rule(wanted=SERVICES, requests=REQUESTS, answered=st.booleans(), is_killed=st.booleans())
    def apply_is_interrupted(
        self, wanted: Wanted, requests: int, answered: bool, is_killed: bool
    ) -> None:
        self._break_off(requests, answered=answered, is_killed=is_killed)

        self._while_serving(wanted, lambda: self.world.apply(wanted), fails=True)

    @rule(requests=REQUESTS, answered=st.booleans(), is_killed=st.booleans())
    def remove_is_interrupted(self, requests: int, answered: bool, is_killed: bool) -> None:
        self._break_off(requests, answered=answered, is_killed=is_killed)

        with suppress(Interrupted, Killed):
            self.world.remove()
        self._end_faults()

    @rule(wanted=SERVICES, etcd=FAULTS, fleet=FLEET_FAULTS)
    def apply_amid_faults(self, wanted: Wanted, etcd: list[str], fleet: list[str]) -> None:
        self.world.etcd.faults = list(etcd)
        self.world.cluster.faults = list(fleet)

        self._while_serving(wanted, lambda: self.world.apply(wanted), fails=True)

    @rule(wanted=SERVICES)
    def apply_a_broken_release(self, wanted: Wanted) -> None:
        broken = wanted.but(version="1.3")
        self.world.cluster.unhealthy.add(broken.release)

        self._while_serving(broken, lambda: self.world.apply(broken), fails=True)

        assert not any(broken.release in name for name in self.world.launched())
        self.world.cluster.unhealthy.clear()

    @rule(
        wanted=SERVICES,
        word=st.sampled_from(["@1.", "@2.", "announce@1."]),
        times=st.integers(1, 3),
    )
    def apply_with_units_that_fail(self, wanted: Wanted, word: str, times: int) -> None:
        self.world.cluster.failing = {word: times}

        self._while_serving(wanted, lambda: self.world.apply(wanted), fails=True)
        self.world.cluster.failing.clear()

    @rule(wanted=TOO_MANY)
    def grow_beyond_the_machines(self, wanted: Wanted) -> None:
        before = self.world.pulumi.get("api")
        wanted = wanted.but(version=before.version) if before else wanted

        self._while_serving(wanted, lambda: self.world.apply(wanted), fails=True)

    @rule(wanted=SERVICES, change=st.sampled_from(["apply", "remove"]))
    def a_router_hangs(self, wanted: Wanted, change: str) -> None:
        """For as long as the change takes, and the settling after it."""
        stuck = self.world.cluster.living()[0]
        self.world.cluster.router_faults.stuck.add(stuck)

        with suppress(ClusterError):
            self.world.apply(wanted) if change == "apply" else self.world.remove()
        with suppress(ClusterError):
            self.world.settle()
        self.world.cluster.router_faults.stuck.clear()
        self._end_faults()

    @rule(wanted=SERVICES)
    def the_clean_up_fails(self, wanted: Wanted) -> None:
        """etcd and fleet are troubled from the moment at which the new release is written down."""
        world = self.world

        def trouble() -> None:
            if world.etcd.value("/services/api/current") == wanted.release:
                world.cluster.faults = ["unavailable"] * 20

        world.clock.listeners.append(trouble)
        self._while_serving(wanted, lambda: world.apply(wanted), fails=True)
        world.clock.listeners.remove(trouble)
        world.cluster.faults.clear()

    # --- what comes in between ----------------------------------------------------------------

    @rule(wanted=SERVICES, requests=REQUESTS)
    def settling_runs_beside_a_rollout(self, wanted: Wanted, requests: int) -> None:
        self.world.settle_after(requests)

        self._while_serving(wanted, lambda: self.world.apply(wanted))

        self._assert_serves()

    @rule()
    def two_minutes_pass(self) -> None:
        self._end_faults()
        least = self._least(self.world.pulumi.get("api"))
        since = len(self.world.cluster.serving)

        self.world.settle_within(TWO_MINUTES)

        assert self._fewest(since, least) >= least
        self._assert_serves()

    @rule()
    def a_machine_is_replaced(self) -> None:
        self.lost += 1
        cluster = self.world.cluster
        cluster.lose_machine(next(iter(cluster.machines)))
        self._a_machine_comes()
        self.world.let_pass(40)  # the others take over, the routers forget
        cluster.lost_requests.clear()

    @rule()
    def a_machine_dies_and_fleet_does_not_know(self) -> None:
        cluster = self.world.cluster
        living = cluster.living()
        if len(living) < MACHINES:
            return  # one at a time
        self.lost += 1
        cluster.kill_machine(living[0])
        self._a_machine_comes()
        self.world.let_pass(20)
        cluster.lost_requests.clear()

    @rule(seconds=st.sampled_from([2, 10, 30]), is_quorum_lost=st.booleans())
    def a_machine_is_booted(self, seconds: int, is_quorum_lost: bool) -> None:
        cluster = self.world.cluster
        if len(cluster.living()) < MACHINES:
            return
        machine = cluster.living()[-1]
        cluster.kill_machine(machine)
        self.world.etcd.is_away = is_quorum_lost
        self.world.let_pass(seconds)
        cluster.boot_machine(machine)
        self.world.let_pass(3)
        self.world.etcd.is_away = False
        self.world.let_pass(40)
        cluster.lost_requests.clear()

    @rule()
    def docker_is_restarted(self) -> None:
        self.world.cluster.restart_docker(self.world.cluster.living()[-1])
        self.world.let_pass(20)
        self.world.cluster.lost_requests.clear()

    # --- what must hold -----------------------------------------------------------------------

    @invariant()
    def no_router_sent_a_client_to_an_instance_that_was_down(self) -> None:
        assert self.world.cluster.lost_requests == []

    @invariant()
    def no_router_sent_a_client_to_another_service(self) -> None:
        assert self.world.cluster.misled_requests == []

    @invariant()
    def pulumi_is_right_or_a_mark_says_otherwise(self) -> None:
        if "/rollouts/api" not in self.world.marks():
            self.world.assert_is_ordered_as_pulumi_believes()
        self.world.assert_is_ordered_as_pulumi_believes("web")

    def teardown(self) -> None:
        self._end_faults()
        self.world.settle_within(TWO_MINUTES)
        self._assert_serves()
        self.world.apply(Wanted(version="1.3"))
        self._assert_serves()
        self.world.remove()
        self.world.remove("web")
        assert self.world.cluster.units == {}

    def _a_machine_comes(self) -> None:
        self.world.cluster.add_machine(f"{self.lost:032x}", f"10.0.1.{self.lost}")

    def _break_off(self, requests: int, *, answered: bool, is_killed: bool) -> None:
        begin = self.world.kill_after if is_killed else self.world.interrupt_after
        begin(requests, answered=answered)

    def _end_faults(self) -> None:
        """No more faults, and what was ordered before an interruption has happened."""
        self.world.no_interrupt()
        self.world.etcd.faults.clear()
        self.world.cluster.faults.clear()
        self.world.let_pass(5)

    def _while_serving(
        self, wanted: Wanted, act: Callable[[], Any], *, fails: bool = False
    ) -> None:
        """As many instances serve all the time as the smaller of before and after."""
        least = min(self._least(self.world.pulumi.get("api")), wanted.instances)
        since = len(self.world.cluster.serving)
        with suppress(*(ClusterError, EtcdError, Interrupted, Killed) if fails else ()):
            act()
        self._end_faults()
        assert self._fewest(since, least) >= least

    def _least(self, finished: Wanted | None) -> int:
        if finished is None:
            return 0
        return min(self._count(self.world.cluster.serving[-1]), finished.instances)

    def _fewest(self, since: int, default: int) -> int:
        return min(map(self._count, self.world.cluster.serving[since:]), default=default)

    def _count(self, served: set[str]) -> int:
        """Of the service that changes."""
        return sum(not key.startswith(OTHER.release) for key in served)

    def _assert_serves(self) -> None:
        """What Pulumi believes serves. fleet needs two minutes to move what was on a machine that
        died."""
        for _ in range(15):
            if self._is_complete():
                break
            self.world.let_pass(10)
        self.world.assert_is_what_pulumi_believes()
        self.world.assert_is_what_pulumi_believes("web")
        self.world.cluster.lost_requests.clear()

    def _is_complete(self) -> bool:
        wanted = sum(service.instances for service in self.world.pulumi.values())
        return len(self.world.served()) == wanted


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(
    max_examples=20,
    stateful_step_count=6,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes for little
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
