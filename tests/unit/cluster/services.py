"""A service for the simulated cluster, and one call that applies it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import httpx

from clients.errors import ClusterError, Interrupted
from clients.etcd import Etcd
from clients.fleet import Fleet
from clients.registry import Registry
from clients.service_store import ServiceKeys, ServiceRecord
from cluster.context import ClusterContext
from cluster.rollout.release import instance_of, make_release
from cluster.rollout.verbs import apply, remove, settle
from components.rendering.requests import apply_request
from contract.codec import as_json, encode, from_json
from contract.requests import ApplyService, RemoveService, read_request
from contract.route import Route
from settings import InstanceSet
from settings.service import Http, Limits
from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_cluster import SimulatedCluster
from tests.unit.cluster.simulated_etcd import SimulatedEtcd
from tests.unit.cluster.simulated_ports import CountedPorts, Ports

DRAIN = 2


@cache
def units(name: str) -> dict[str, str]:
    """The units of a service as the program that runs `pulumi up` renders them."""
    service = InstanceSet(
        name=name,
        path=f"fleet:services.{name}",
        image="toktv/api:1.0",
        instances=1,
        spread=True,
        http=Http(port=8080),
        tcp=(),
        udp=(),
        env={},
        limits=Limits(),
    )
    rendered: dict[str, str] = as_json(apply_request(service, DRAIN, {}).units)
    return rendered


@dataclass(kw_only=True, frozen=True)
class Wanted:
    """The parts of a service that tests change."""

    version: str = "1.0"
    instances: int = 2
    route: dict[str, Any] = field(default_factory=lambda: {"hosts": ["api.tok.tv"], "http": True})
    name: str = "api"

    @property
    def text(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "image": f"toktv/api:{self.version}",
                "instances": self.instances,
                "route": self.route,
                "units": units(self.name),
                "drain": DRAIN,
                "start_timeout": 30,
                "keep": 2,
            }
        )

    @property
    def stored_route(self) -> str:
        """What etcd holds."""
        return encode(from_json(Route, self.route))

    @property
    def release(self) -> str:
        """The release id that this makes."""
        return release_id(self.name, self.version)

    def but(self, **changes: Any) -> Wanted:
        return replace(self, **changes)


@cache
def release_id(name: str, version: str) -> str:
    service = read_request(ApplyService, Wanted(name=name, version=version).text)
    return make_release(service, digest_of(version)).id


class Killed(BaseException):
    """The program was killed, or its node died: no part of it runs any more."""


class World:
    """A simulated cluster, the program that acts on it, and what Pulumi's state says."""

    SETTLE_EVERY = 40.0  # seconds at most, on each node

    def __init__(self, *, machines: int = 3, ports: Callable[[], Ports] = CountedPorts) -> None:
        self.clock = SimulatedClock()
        self.etcd = SimulatedEtcd(self.clock)
        self.cluster = SimulatedCluster(self.clock, self.etcd, machines=machines, ports=ports)
        self.pulumi: dict[str, Wanted] = {}  # the inputs of the last command that succeeded
        self.images = {f"toktv/api:{version}" for version in ("1.0", "1.1", "1.2", "1.3", "1.4")}
        self.lines: list[str] = []
        self.requests = 0  # of the program
        self._fuse: int | None = None
        self._fuse_burns_after = False
        self._is_fatal = False
        self._is_dead = False
        self._is_beside = False
        self._calm = httpx.MockTransport(self.etcd.answer)
        self.client = Etcd(
            transport=self._fused(self.etcd.transport), patience=25, clock=self.clock
        )
        self.fleet = Fleet(
            self.client, transport=self._fused(self.cluster.transport), clock=self.clock
        )
        self.let_pass(2)  # the routers' first beat

    def interrupt_after(self, requests: int, *, answered: bool) -> None:
        """Interrupt the program at its n-th request from now, before or after it took effect."""
        self._fuse, self._fuse_burns_after, self._is_fatal = requests, answered, False

    def kill_after(self, requests: int, *, answered: bool) -> None:
        """The same, and it can't even release its lock."""
        self._fuse, self._fuse_burns_after, self._is_fatal = requests, answered, True

    def settle_after(self, requests: int) -> None:
        """Let another node settle just before the program's n-th request from now."""
        self._fuse, self._is_beside = requests, True

    def no_interrupt(self) -> None:
        self._fuse, self._is_dead, self._is_beside = None, False, False

    def _fused(self, transport: httpx.MockTransport) -> httpx.MockTransport:
        def handle(request: httpx.Request) -> httpx.Response:
            if self._is_dead:
                raise Killed
            self.requests += 1
            if self._fuse is None:
                return transport.handle_request(request)
            self._fuse -= 1
            if self._fuse >= 0:
                return transport.handle_request(request)
            self._fuse = None  # the lock's release comes through
            if self._is_beside:
                self._is_beside = False
                self.settle()
                return transport.handle_request(request)
            if self._fuse_burns_after:
                transport.handle_request(request)
            if self._is_fatal:
                self._is_dead = True
                raise Killed
            raise Interrupted("SIGINT")

        return httpx.MockTransport(handle)

    def context(self, node: str = "core-0") -> ClusterContext:
        """What the program on that node works with."""
        return ClusterContext(
            etcd=self.client,
            fleet=self.fleet,
            registry=Registry(
                self.clock,
                self.lines.append,
                cluster="fleet-dev",
                transport=httpx.MockTransport(self._registry),
            ),
            clock=self.clock,
            progress=self.lines.append,
            node=node,
        )

    def apply(self, wanted: Wanted) -> None:
        with self._pulumi_believes(wanted.name, wanted):
            apply(read_request(ApplyService, wanted.text), self.context())

    def remove(self, name: str = "api") -> None:
        with self._pulumi_believes(name, None):
            remove(RemoveService(name=name, drain=DRAIN), self.context())

    @contextmanager
    def _pulumi_believes(self, name: str, wanted: Wanted | None) -> Iterator[None]:
        """What its state says after a command that succeeded. A program that was killed between
        its last request and its end has done all of it, and Pulumi can't know: docs/decisions.md
        names that gap, and here Pulumi is taken to know."""
        try:
            yield
        except Killed:
            if f"/rollouts/{name}" in self.etcd.entries or not self._is_done(name, wanted):
                raise
        if wanted is None:
            self.pulumi.pop(name, None)
        else:
            self.pulumi[name] = wanted

    def _is_done(self, name: str, wanted: Wanted | None) -> bool:
        record = self.record(name)
        if wanted is None:
            return not record.exists
        entry = record.ledger.get(wanted.release)
        return (
            record.current == wanted.release
            and record.route == wanted.stored_route
            and entry is not None
            and entry.instances == wanted.instances
        )

    def settle(self) -> None:
        settle(self.context("core-1"))

    def settle_within(self, seconds: float) -> None:
        """What the nodes' timers do, until nothing is left to do. Raises if that takes longer."""
        deadline = self.clock.now() + seconds
        while self.marks():
            assert self.clock.now() < deadline, f"not settled within {seconds:.0f} s"
            self.let_pass(self.SETTLE_EVERY)
            with suppress(ClusterError):  # the next one comes soon
                self.settle()
        assert self.clock.now() < deadline, f"not settled within {seconds:.0f} s"

    def marks(self) -> list[str]:
        """The services whose changes have not come to an end."""
        return [name for name in self.etcd.entries if name.startswith("/rollouts/")]

    def assert_is_what_pulumi_believes(self, name: str = "api") -> None:
        """Release, number and route, in etcd and on the machines; and nothing else."""
        self.assert_is_ordered_as_pulumi_believes(name)
        if (wanted := self.pulumi.get(name)) is not None:
            numbers = range(1, wanted.instances + 1)
            assert set(self.record(name).instances) == {f"{wanted.release}-{n}" for n in numbers}

    def assert_is_ordered_as_pulumi_believes(self, name: str = "api") -> None:
        """The same, except that fleet, systemd or an application may need time to carry it out."""
        wanted = self.pulumi.get(name)
        own = {unit for unit in self.launched() if instance_of(name, unit)}
        record = self.record(name)
        if wanted is None:
            assert own == set()
            assert (record.route, record.current) == (None, None)
            return
        numbers = range(1, wanted.instances + 1)
        assert own == {
            f"{name}-{wanted.release}{kind}@{n}.service"
            for kind in ("", "-announce")
            for n in numbers
        }
        assert record.current == wanted.release
        assert record.ledger[wanted.release].outcome == "serving"
        assert record.ledger[wanted.release].instances == wanted.instances
        assert record.route == wanted.stored_route

    def let_pass(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def record(self, name: str = "api") -> ServiceRecord:
        """Read past everything that goes wrong."""
        return ServiceKeys(Etcd(transport=self._calm), name).read()

    def served(self) -> set[str]:
        """Instances that every router serves now."""
        return self.cluster.serving[-1]

    def launched(self) -> set[str]:
        return {name for name, unit in self.cluster.units.items() if unit.desired == "launched"}

    def _registry(self, request: httpx.Request) -> httpx.Response:
        repository, _, reference = request.url.path.removeprefix("/v2/").partition("/manifests/")
        if f"{repository}:{reference}" not in self.images:
            return httpx.Response(404)
        return httpx.Response(200, headers={"Docker-Content-Digest": digest_of(reference)})


def digest_of(tag: str) -> str:
    """What the simulated registry answers for a tag."""
    return "sha256:" + hashlib.sha256(tag.encode()).hexdigest()
