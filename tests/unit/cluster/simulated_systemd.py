"""systemd on the simulated nodes. It runs the units as they are written: PartOf=, BindsTo=,
Requires=, After= and Restart= decide which units stop and start together.

A unit with a container has a port of its node while it runs. Subclasses define what else a running
unit does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_fleet import Job, SimulatedFleet
from tests.unit.cluster.simulated_ports import CountedPorts, Ports


class SimulatedSystemd(SimulatedFleet):
    """Nodes with units on them."""

    START, STOP, RESTART = 0.5, 0.5, 1.0  # seconds

    def __init__(
        self, clock: SimulatedClock, *, machines: int, ports: Callable[[], Ports] = CountedPorts
    ) -> None:
        super().__init__(clock, machines=machines)
        self._new_ports = ports
        self._ports: dict[str, Ports] = {}
        self.pulls: dict[str, float] = {}  # word in a unit's name → seconds to pull its image
        self.failing: dict[str, int] = {}  # word in a unit's name → number of failures
        self._failed: dict[str, int] = {}

    def start(self, name: str, machine: str) -> None:
        """What `systemctl start` does."""
        job = self.jobs[name, machine]
        if job.active == "deactivating":
            job.starts_again = True
        elif job.is_dead:
            self._become(job, "activating", "start-pre")

    def stop(self, name: str, machine: str) -> None:
        """What `systemctl stop` does, also to units that stop with this one."""
        job = self.jobs.get((name, machine))
        if job is None or job.is_dead:
            return
        job.starts_again = False
        for other in self._followers(name, machine, "PartOf", "BindsTo", "Requires"):
            self.stop(other, machine)
        if job.active != "deactivating":
            self._become(job, "deactivating", "stop-sigterm")

    def crash(self, name: str, machine: str) -> None:
        """The unit's process ends unexpectedly."""
        job = self.jobs[name, machine]
        job.port = 0
        for other in self._followers(name, machine, "BindsTo"):
            self.stop(other, machine)
        if job.unit.values("Service", "Restart") == ["always"]:
            self._become(job, "activating", "auto-restart")
        else:
            self._become(job, "failed", "failed")

    def docker_starts(self, machine: str) -> None:
        """docker's port numbers may start again."""
        self._ports_of(machine).docker_starts()

    def publish(self, job: Job) -> None:
        """Assign a port of the node to a unit's container."""
        in_use = {other.port for other in self.jobs.values() if other.machine == job.machine}
        job.port = self._ports_of(job.machine).next(in_use)

    def run_jobs(self, machine: str) -> None:
        for job in list(self.jobs.values()):
            if job.machine == machine:
                self._run_job(job)

    def on_active(self, job: Job) -> None:
        """A unit has been started."""

    def while_active(self, job: Job) -> None:
        """A unit runs."""

    def has_ended(self, job: Job) -> bool:
        """Whether a unit that is stopping has ended."""
        return self.clock.now() - job.since >= self.STOP

    def _run_job(self, job: Job) -> None:
        name, machine = job.unit.name, job.machine
        age = self.clock.now() - job.since
        match job.active, job.sub:
            case "activating", "auto-restart" if age >= self.RESTART:
                # a job of its own; units that are part of this one restart with it
                for other in self._followers(name, machine, "PartOf", "Requires"):
                    if not self.jobs[other, machine].is_dead:
                        self.stop(other, machine)
                        self.jobs[other, machine].starts_again = True
                self._become(job, "activating", "start-pre")
            case "activating", "start-pre" if age >= self._pull(name):
                if not self._waits(job):
                    self._become(job, "activating", "start")
            case "activating", "start" if age >= self.START:
                self._begin(job)
            case "deactivating", _:
                self._end(job)
            case "active", _:
                self.while_active(job)

    def _pull(self, name: str) -> float:
        return next((seconds for word, seconds in self.pulls.items() if word in name), 0.0)

    def _begin(self, job: Job) -> None:
        name = job.unit.name
        word = next((word for word in self.failing if word in name), "")
        if word and self._failed.get(name, 0) < self.failing[word]:
            self._failed[name] = self._failed.get(name, 0) + 1
            self._become(job, "failed", "failed")
            return
        self._become(job, "active", "running")
        self.on_active(job)

    def _end(self, job: Job) -> None:
        """After= also orders stopping: a unit that starts later stops earlier."""
        later = self._followers(job.unit.name, job.machine, "After")
        if any(self.jobs[other, job.machine].active == "deactivating" for other in later):
            job.since = self.clock.now()
        elif self.has_ended(job):
            job.port = 0
            self._become(job, "inactive", "dead")
            if job.starts_again:
                self._become(job, "activating", "start-pre")

    def _waits(self, job: Job) -> bool:
        """Whether a unit that it starts after is still starting."""
        before = (self.jobs.get((name, job.machine)) for name in job.unit.units("After"))
        return any(one is not None and one.active == "activating" for one in before)

    def _followers(self, name: str, machine: str, *directives: str) -> Iterator[str]:
        """Units on the node that name this one in a directive."""
        for (other, where), job in list(self.jobs.items()):
            if where == machine and name in job.unit.units(*directives):
                yield other

    def _ports_of(self, machine: str) -> Ports:
        return self._ports.setdefault(machine, self._new_ports())

    def _become(self, job: Job, active: str, sub: str) -> None:
        job.active, job.sub, job.since = active, sub, self.clock.now()
        if active == "activating":
            job.starts_again, job.announced = False, ""
            job.left, job.drains_since = 0, None
