"""What a user writes about a service, and the instance sets that follow from it.

A service without customers is one instance set; a service with customers is one for each, with the
customer's own values laid over the service's. Everything after this module knows only sets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from settings.fields import (
    EnvName,
    EnvValue,
    HealthPath,
    Host,
    Image,
    Memory,
    Name,
    PortNumber,
    Section,
)

Instances = Annotated[int, Field(ge=1, le=240)]
Cpus = Annotated[float, Field(ge=0.05, le=64)]


class Http(Section):
    """How the routers reach a web service."""

    port: PortNumber = Field(default=80, description="The port that the container listens on.")
    hosts: tuple[Host, ...] = Field(
        default=(),
        description="The host names that lead here. Without any, the service is the default site, "
        "which answers for every host that no other service names; there is at most one.",
    )
    health: HealthPath = Field(
        default="/health",
        description="The path that answers 200 while the instance can serve. Only such an instance "
        "gets requests.",
    )


class Port(Section):
    """A port that is published on the public address."""

    port: PortNumber = Field(
        description="The public port, on which the container listens, too. Not one of those that "
        "the nodes use themselves, nor 32768 to 60999, which docker gives to instances.",
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
    limits: CustomerLimits = Field(
        default=CustomerLimits(), description="Laid over the service's `limits`, key by key."
    )


class Service(Section):
    """A service, as the user writes it."""

    image: Image = Field(
        description="The image in the stack's own registry, as repository:tag. Deploying a new "
        "version is changing the tag; tags that move (latest) are refused."
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
        default=(), description="UDP ports that are published as they are."
    )
    env: Mapping[EnvName, EnvValue] = Field(
        default={},
        description="Environment variables. Everybody on the cluster can read them: no secrets.",
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
                env=self.env,
                limits=self.limits,
            )
            return
        for customer_name, customer in self.customers.items():
            yield self._customer_set(
                f"{name}-{customer_name}", f"{path}.customers.{customer_name}", customer
            )

    def _customer_set(self, name: str, path: str, customer: Customer) -> "InstanceSet":
        own_limits = customer.limits.model_dump(exclude_none=True)
        return InstanceSet(
            name=name,
            path=path,
            image=customer.image or self.image,
            instances=customer.instances or self.instances,
            spread=self.spread,
            http=self.http and self.http.model_copy(update={"hosts": customer.hosts}),
            tcp=(),
            udp=(),
            env={**self.env, **customer.env},
            limits=self.limits.model_copy(update=own_limits),
        )


@dataclass(frozen=True, kw_only=True)
class InstanceSet:
    """Containers of one image with one configuration: what is rolled out and routed as one."""

    name: str
    path: str
    image: str
    instances: int
    spread: bool
    http: Http | None
    tcp: tuple[int, ...]
    udp: tuple[int, ...]
    env: Mapping[str, str]
    limits: Limits
