"""What a user writes about a service, and the instance sets that follow from it.

A service without customers is one instance set; a service with customers is one for each, with the
customer's own values laid over the service's. Everything after this module knows only sets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field

from contract.ports import INSTANCE_PORTS
from settings.fields import (
    EnvName,
    EnvValue,
    HealthPath,
    Host,
    Image,
    Memory,
    Name,
    PortNumber,
    PublicPort,
    SecretName,
    Section,
    Tmpfs,
)
from settings.health import Health

Instances = Annotated[int, Field(ge=1, le=240)]
NO_VOLUMES = {
    "volumes": "must be left out: a unit may move to another machine, and its volume would not; "
    "use tmpfs for scratch files, and keep what must last outside the cluster"
}
NO_COMMAND = (
    "must be left out: a container runs what its image says. For a worker beside a web application "
    "build a second image, with FROM the first and another CMD"
)
NO_STOP_TIME = (
    "must be left out: a container has 10 seconds between SIGTERM and SIGKILL. fleet:drainSeconds "
    "is the time before SIGTERM, for open requests"
)
NO_PATHS = (
    "must be left out: a host leads to one service as a whole. Give the other one a host of its "
    "own, or let this one pass requests on"
)
NOT_IN_A_SERVICE = {
    **NO_VOLUMES,
    **dict.fromkeys(("command", "entrypoint", "args"), NO_COMMAND),
    **dict.fromkeys(("stopTimeout", "stopGracePeriod", "stopSeconds"), NO_STOP_TIME),
    "shmSize": "must be left out: /dev/shm has docker's 64 MB; let the program use another folder "
    "(Chromium: --disable-dev-shm-usage)",
    "user": "must be left out: a container runs as its image's USER says",
}
Cpus = Annotated[float, Field(ge=0.05, le=64)]


class Http(Section):
    """How the routers reach a web service."""

    impossible: ClassVar[Mapping[str, str]] = dict.fromkeys(("path", "paths"), NO_PATHS)

    port: PortNumber = Field(default=80, description="The port that the container listens on.")
    hosts: tuple[Host, ...] = Field(
        default=(),
        description="The host names that lead here. Without any, the service is the default site, "
        "which answers for every host that no other service names; there is at most one.",
    )
    health: HealthPath = Field(
        default="/health",
        description="The path that answers 200 while the instance can serve. Only such an instance "
        "gets requests. `Host` is the first of `hosts` then, or localhost without any.",
    )
    sticky: bool = Field(
        default=False,
        description="Send a client back to the instance that answered it first, by a cookie, for "
        "as long as that instance lives. Over HTTPS also in a frame of another site.",
    )
    https_redirect: bool = Field(
        default=False,
        description="Answer plain HTTP with a redirect to HTTPS. Not where a CDN in front of the "
        "cluster ends TLS and asks it over HTTP: what it says about the client isn't believed.",
    )
    underscore_headers: bool = Field(
        default=False,
        description="Pass request headers with an underscore in their name, like `api_key`. By "
        "default they are dropped: many applications can't tell `X_Forwarded_For` from the "
        "router's own header. Names that imitate one of the router's never pass.",
    )


class Port(Section):
    """A port that is published on the public address."""

    port: PublicPort = Field(
        description="The public port, on which the container listens, too. Not one of those that "
        f"the nodes use themselves, nor {INSTANCE_PORTS[0]} to {INSTANCE_PORTS[-1]}, which nodes "
        "give to instances.",
    )


class Limits(Section):
    """What one instance may use of its machine."""

    memory: Memory = Field(
        default="256m",
        description="Memory: a whole number followed by m or g. Past it, the kernel ends "
        "the instance and systemd starts it again.",
    )
    cpus: Cpus = Field(default=1.0, description="Processor cores, at most those of a machine.")


class CustomerLimits(Section):
    """What differs from the service's limits."""

    memory: Memory | None = Field(
        default=None, description="Memory of each of the customer's instances."
    )
    cpus: Cpus | None = Field(
        default=None, description="Cores of each of the customer's instances."
    )


class Customer(Section):
    """One customer organisation's own instances of a service."""

    impossible: ClassVar[Mapping[str, str]] = NOT_IN_A_SERVICE

    hosts: tuple[Host, ...] = Field(
        min_length=1, description="The host names that lead to this customer's instances."
    )
    instances: Instances | None = Field(
        default=None, description="Instead of the service's `instances`."
    )
    image: Image | None = Field(default=None, description="Instead of the service's `image`.")
    env: Mapping[EnvName, EnvValue] = Field(
        default={}, description="Laid over the service's `env`, variable by variable."
    )
    secrets: Mapping[EnvName, SecretName] = Field(
        default={}, description="Laid over the service's `secrets`, name by name."
    )
    limits: CustomerLimits = Field(
        default=CustomerLimits(), description="Laid over the service's `limits`, key by key."
    )


class Service(Section):
    """A service, as the user writes it."""

    impossible: ClassVar[Mapping[str, str]] = NOT_IN_A_SERVICE

    image: Image = Field(
        description="The image in the stack's own registry, as repository:tag. Deploying a new "
        "version is changing the tag: another image under the same tag rolls nothing out, and "
        "`latest` is refused."
    )
    instances: Instances = Field(default=1, description="How many containers run.")
    spread: bool = Field(
        default=True,
        description="Run at most one instance of a release on a machine, so that losing one "
        "machine loses one instance. Then there can be no more instances than machines.",
    )
    http: Http | None = Field(
        default=None, description="Makes it a web service on ports 80 and 443."
    )
    tcp: tuple[Port, ...] = Field(
        default=(), description="TCP ports that are published as they are."
    )
    udp: tuple[Port, ...] = Field(
        default=(),
        description="UDP ports that are published as they are. All TCP and UDP traffic of one "
        "client reaches the same instance, for as long as that lives. Instances see the address of "
        "a router instead of the client's, over TCP as over UDP: switch off limits and bans by "
        "address (Mumble: `autobanAttempts=0`).",
    )
    health: Health = Field(
        default=Health(),
        description="How to check an instance. By default, a web service is asked for "
        "`http.health`; any other service must accept a connection on its first TCP port. With UDP "
        "only, the image's own health check decides; without one, the instance is healthy while it "
        "runs.",
    )
    env: Mapping[EnvName, EnvValue] = Field(
        default={},
        description="Environment variables, one line and at most 900 bytes each. Everybody on the "
        "cluster can read them: no secrets.",
    )
    secrets: Mapping[EnvName, SecretName] = Field(
        default={},
        description="Secrets for the container: `NAME: secret` puts `fleet:secrets.secret` into "
        "the file `/run/secrets/NAME`, which every user in the container can read, and that path "
        "into the variable `NAME_FILE`. An image that wants the value itself in a variable needs a "
        "start script that reads the file. A changed secret rolls out the services that use it.",
    )
    tmpfs: tuple[Tmpfs, ...] = Field(
        default=(),
        description="Folders in memory, as path:size, like /tmp:64m. What is in them counts as "
        "the instance's memory and is gone with it. Every user of the container may write there, "
        "and no program can be started from there. /dev/shm stays at docker's 64 MB.",
    )
    limits: Limits = Field(
        default=Limits(), description="What one instance may use of its machine."
    )
    customers: Mapping[Name, Customer] | None = Field(
        default=None,
        description="One instance set for each customer organisation, instead of one for all. "
        "Possible for web services.",
    )

    def instance_sets(self, name: str, path: str) -> Iterator["InstanceSet"]:
        """The sets that this service is, called `name` and found at `path` in the config."""
        if self.customers is None:
            yield InstanceSet(
                name=name,
                path=path,
                image=self.image,
                instances=self.instances,
                spread=self.spread,
                http=self.http,
                tcp=tuple(one.port for one in self.tcp),
                udp=tuple(one.port for one in self.udp),
                health=self.health,
                env=self.env,
                secrets=self.secrets,
                tmpfs=self.tmpfs,
                limits=self.limits,
            )
            return
        for customer_name, customer in self.customers.items():
            yield self._customer_set(name, path, customer_name, customer)

    def _customer_set(
        self, name: str, path: str, customer_name: str, customer: Customer
    ) -> "InstanceSet":
        own_limits = customer.limits.model_dump(exclude_none=True)
        return InstanceSet(
            name=f"{name}-{customer_name}",
            path=f"{path}.customers.{customer_name}",
            customer=customer_name,
            image=customer.image or self.image,
            instances=customer.instances or self.instances,
            spread=self.spread,
            http=self.http and self.http.model_copy(update={"hosts": customer.hosts}),
            tcp=(),
            udp=(),
            health=self.health,
            env={**self.env, **customer.env},
            secrets={**self.secrets, **customer.secrets},
            tmpfs=self.tmpfs,
            limits=self.limits.model_copy(update=own_limits),
        )


@dataclass(frozen=True, kw_only=True)
class InstanceSet:
    """Containers of one image with one configuration: what is rolled out and routed as one."""

    name: str
    path: str
    """Where the configuration describes it."""
    customer: str | None = None
    """Whose it is, if the service has customers."""
    image: str
    instances: int
    spread: bool
    http: Http | None
    tcp: tuple[int, ...]
    udp: tuple[int, ...]
    health: Health = field(default_factory=Health)
    env: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Names in `fleet:secrets`, by the names that the container knows them by."""
    tmpfs: tuple[str, ...] = ()
    limits: Limits

    def where(self, key: str) -> str:
        """The path of one of its keys in the configuration."""
        return f"{self.path}.{key}"
