"""A service for the simulated cluster, and one call that applies it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from cluster import desired
from cluster.apply import apply
from cluster.errors import Interrupted
from cluster.etcd import Etcd
from cluster.fleet import Fleet
from cluster.registry import Registry
from cluster.release import make_release
from cluster.remove import remove
from cluster.service_keys import ServiceKeys, ServiceRecord
from cluster.settle import settle
from tests.unit.cluster.simulated_clock import SimulatedClock
from tests.unit.cluster.simulated_cluster import SimulatedCluster
from tests.unit.cluster.simulated_etcd import SimulatedEtcd

APP = """\
[Unit]
Description=api %i {version}
[Service]
ExecStart=/usr/bin/docker run --name api-__RELEASE__-%i __IMAGE__
Restart=always
[X-Fleet]
Conflicts=api-__RELEASE__@*.service
"""
ANNOUNCE = """\
[Unit]
Description=announces api %i
BindsTo=api-__RELEASE__@%i.service
After=api-__RELEASE__@%i.service
[Service]
ExecStart=/opt/bin/announce
[X-Fleet]
MachineOf=api-__RELEASE__@%i.service
"""


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
                "units": {
                    "app": APP.format(version=self.version).replace("api", self.name),
                    "announce": ANNOUNCE.replace("api", self.name),
                },
                "drain": 2,
                "startTimeout": 30,
                "keep": 2,
            }
        )

    @property
    def release(self) -> str:
        """The release id that this makes."""
        service = desired.service(self.text)
        return make_release(service, digest_of(str(service.image.tag))).id

    def but(self, **changes: Any) -> Wanted:
        return replace(self, **changes)


class World:
    """A simulated cluster with the program in front of it."""

    def __init__(self, *, machines: int = 3) -> None:
        self.clock = SimulatedClock()
        self.etcd = SimulatedEtcd(self.clock)
        self.cluster = SimulatedCluster(self.clock, self.etcd, machines=machines)
        self.images = {f"toktv/api:{version}" for version in ("1.0", "1.1", "1.2", "1.3", "1.4")}
        self.lines: list[str] = []
        self._fuse: int | None = None
        self._fuse_burns_after = False
        self.client = Etcd(
            transport=self._fused(self.etcd.transport), patience=25, clock=self.clock
        )
        self.fleet = Fleet(
            self.client, transport=self._fused(self.cluster.transport), clock=self.clock
        )
        self.let_pass(2)  # the routers' first beat

    def interrupt_after(self, requests: int, *, answered: bool) -> None:
        """Interrupt the program at its n-th request from now, before or after it took effect."""
        self._fuse, self._fuse_burns_after = requests, answered

    def no_interrupt(self) -> None:
        self._fuse = None

    def _fused(self, transport: httpx.MockTransport) -> httpx.MockTransport:
        def handle(request: httpx.Request) -> httpx.Response:
            if self._fuse is None:
                return transport.handle_request(request)
            self._fuse -= 1
            if self._fuse >= 0:
                return transport.handle_request(request)
            self._fuse = None  # the lock's release comes through
            if self._fuse_burns_after:
                transport.handle_request(request)
            raise Interrupted("SIGINT")

        return httpx.MockTransport(handle)

    def apply(self, wanted: Wanted) -> None:
        apply(
            desired.service(wanted.text),
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
            holder="core-0",
        )

    def remove(self, name: str = "api") -> None:
        remove(
            desired.removal(json.dumps({"name": name, "drain": 2})),
            etcd=self.client,
            fleet=self.fleet,
            clock=self.clock,
            progress=self.lines.append,
            holder="core-0",
        )

    def settle(self) -> None:
        settle(
            etcd=self.client,
            fleet=self.fleet,
            clock=self.clock,
            progress=self.lines.append,
            holder="core-1",
        )

    def let_pass(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def record(self, name: str = "api") -> ServiceRecord:
        return ServiceKeys(self.client, name).read()

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
