"""What a user writes about a service, and the instance sets that follow from it.

A service without customers is one instance set. A service with customers is one set for each
customer, whose values override the service's. All later code knows only instance sets.
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
    "volumes": "is not supported: an instance may move to another node, and its volume would not. "
    "Use tmpfs for scratch files, and store lasting data outside the cluster"
}
NO_COMMAND = (
    "is not supported: a container runs the command of its image. For a worker beside a web "
    "application, build a second image FROM the first, with another CMD"
)
NO_STOP_TIME = (
    "is not supported: a container has 10 seconds between SIGTERM and SIGKILL. fleet:drainSeconds "
    "sets the time for open requests before SIGTERM"
)
NO_PATHS = (
    "is not supported: all paths of a host lead to one service. Give the other service a separate "
    "host, or let this service forward the requests"
)
NOT_IN_A_SERVICE = {
    **NO_VOLUMES,
    **dict.fromkeys(("command", "entrypoint", "args"), NO_COMMAND),
    **dict.fromkeys(("stopTimeout", "stopGracePeriod", "stopSeconds"), NO_STOP_TIME),
    "shmSize": "is not supported: /dev/shm has docker's default size, 64 MB. Make the program use "
    "another folder (Chromium: --disable-dev-shm-usage)",
    "user": "is not supported: a container runs as the USER of its image",
}
Cpus = Annotated[float, Field(ge=0.05, le=64)]


class Http(Section):
    """How the routers reach a web service."""

    impossible: ClassVar[Mapping[str, str]] = dict.fromkeys(("path", "paths"), NO_PATHS)

    port: PortNumber = Field(default=80, description="The port that the container listens on.")
    hosts: tuple[Host, ...] = Field(
        default=(),
        description="The host names of the service. A service without hosts is the default site, "
        "which answers for every host that no other service names. Only one service can be that.",
    )
    health: HealthPath = Field(
        default="/health",
        description="The path of the health check. The instance must answer 200 while it can "
        "serve; otherwise it gets no requests. The check sends the first of `hosts` as `Host`, or "
        "`localhost` if there is none.",
    )
    sticky: bool = Field(
        default=False,
        description="Send all requests of a client to the instance that answered the first one. "
        "A cookie names the instance, for as long as the instance lives. Over HTTPS this also "
        "works in a frame of another site.",
    )
    https_redirect: bool = Field(
        default=False,
        description="Answer plain HTTP with a redirect to HTTPS. Do not use it behind a CDN that "
        "reaches the cluster by HTTP: the routers do not trust the CDN's `X-Forwarded-Proto`.",
    )
    underscore_headers: bool = Field(
        default=False,
        description="Pass request headers with an underscore in their name, like `api_key`. By "
        "default the routers drop such headers, because many applications can't distinguish "
        "`X_Forwarded_For` from the router's `X-Forwarded-For`. Such imitations of a router's "
        "header never pass.",
    )


class Port(Section):
    """A port that is published on the public address."""

    port: PublicPort = Field(
        description="The public port; the container must listen on the same port. The nodes' "
        f"ports (see the end of this page) and {INSTANCE_PORTS[0]} to {INSTANCE_PORTS[-1]} are not "
        "allowed.",
    )


class Limits(Section):
    """How much of its node one instance may use."""

    memory: Memory = Field(
        default="256m",
        description="Memory: a whole number followed by m or g. If an instance uses more, the "
        "kernel kills the instance and systemd starts it again.",
    )
    cpus: Cpus = Field(default=1.0, description="Processor cores, at most those of a node.")


class CustomerLimits(Section):
    """A customer's changes to the service's limits."""

    memory: Memory | None = Field(
        default=None, description="Memory of each of the customer's instances."
    )
    cpus: Cpus | None = Field(
        default=None, description="Cores of each of the customer's instances."
    )


class Customer(Section):
    """The instances of a service for one customer organisation."""

    impossible: ClassVar[Mapping[str, str]] = NOT_IN_A_SERVICE

    hosts: tuple[Host, ...] = Field(min_length=1, description="The host names of this customer.")
    instances: Instances | None = Field(
        default=None, description="Replaces the service's `instances`."
    )
    image: Image | None = Field(default=None, description="Replaces the service's `image`.")
    env: Mapping[EnvName, EnvValue] = Field(
        default={}, description="Added to the service's `env`; replaces variables of the same name."
    )
    secrets: Mapping[EnvName, SecretName] = Field(
        default={},
        description="Added to the service's `secrets`; replaces secrets of the same name.",
    )
    limits: CustomerLimits = Field(
        default=CustomerLimits(), description="Replaces single keys of the service's `limits`."
    )


class Service(Section):
    """A service as the user writes it."""

    impossible: ClassVar[Mapping[str, str]] = NOT_IN_A_SERVICE

    image: Image = Field(
        description="The image in the stack's registry, as repository:tag. To deploy a new "
        "version, change the tag: Pulumi does not notice another image under the same tag. "
        "`latest` is refused."
    )
    instances: Instances = Field(default=1, description="How many containers run.")
    spread: bool = Field(
        default=True,
        description="Run at most one instance of a release on each node. The loss of a node then "
        "costs only one instance, and there can be no more instances than nodes.",
    )
    http: Http | None = Field(
        default=None, description="Makes the service a web service on ports 80 and 443."
    )
    tcp: tuple[Port, ...] = Field(
        default=(), description="TCP ports to publish under the same number."
    )
    udp: tuple[Port, ...] = Field(
        default=(),
        description="UDP ports to publish under the same number. All TCP and UDP traffic of a "
        "client reaches the same instance, for as long as that instance lives. Over TCP and UDP, "
        "instances see a router's address instead of the client's: switch off limits and bans by "
        "address (Mumble: `autobanAttempts=0`).",
    )
    health: Health = Field(
        default=Health(),
        description="How to check an instance. By default a web service is checked by "
        "`http.health`, and another service by a connection to its first TCP port. With UDP only, "
        "the image's `HEALTHCHECK` decides; without that, a running container is healthy.",
    )
    env: Mapping[EnvName, EnvValue] = Field(
        default={},
        description="Environment variables. A value is one line of at most 900 bytes. Everyone "
        "with access to a node can read the values, so put no secrets here.",
    )
    secrets: Mapping[EnvName, SecretName] = Field(
        default={},
        description="Secrets for the container. `NAME: secret` writes `fleet:secrets.secret` into "
        "the file `/run/secrets/NAME`, which every user in the container can read. The variable "
        "`NAME_FILE` holds that path. If an image needs the value in a variable, let its start "
        "script read the file. A changed secret rolls out the services that use it.",
    )
    tmpfs: tuple[Tmpfs, ...] = Field(
        default=(),
        description="Folders in memory, as path:size, like `/tmp:64m`. The content counts as the "
        "instance's memory and disappears with the instance. Every user in the container may write "
        "to these folders, but can't start programs from them. `/dev/shm` always has docker's 64 "
        "MB.",
    )
    limits: Limits = Field(
        default=Limits(), description="How much of its node one instance may use."
    )
    customers: Mapping[Name, Customer] | None = Field(
        default=None,
        description="Customer organisations, each with separate instances (web services only).",
    )

    def instance_sets(self, name: str, path: str) -> Iterator["InstanceSet"]:
        """The instance sets of this service, which is called `name` and is at `path`."""
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
    """Containers with the same image and configuration, rolled out and routed together."""

    name: str
    path: str
    """Its place in the configuration, like `fleet:services.api`."""
    customer: str | None = None
    """The customer it belongs to, if the service has customers."""
    image: str
    instances: int
    spread: bool
    http: Http | None
    tcp: tuple[int, ...]
    udp: tuple[int, ...]
    health: Health = field(default_factory=Health)
    env: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    """The container's names of secrets, with their names in `fleet:secrets`."""
    tmpfs: tuple[str, ...] = ()
    limits: Limits

    def where(self, key: str) -> str:
        """The place of one of its keys in the configuration."""
        return f"{self.path}.{key}"
