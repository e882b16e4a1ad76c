"""The registration that a sidekick's unit sends to its node's announcer, as form fields.

The program renders the form into the unit; `curl` sends it. An announcer ignores fields that it
does not know, so a unit may be newer than the announcer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contract.codec import Malformed

SOCKET = "/run/announcer/socket"
"""Where an announcer listens, on its node."""
FOLDER = "/run/announcer/sidekicks"
"""Where it keeps what registered, in a file for each unit."""
KINDS = ("http", "tcp", "command", "container")


@dataclass(kw_only=True, frozen=True)
class HealthCheck:
    """How an instance is checked. Times in seconds."""

    kind: str
    port: int = 0  # http and tcp: in the container
    path: str = ""  # http
    host: str = ""  # http: many applications refuse hosts that they do not serve
    command: str = ""  # for the container's own shell
    start_period: int
    interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int


@dataclass(kw_only=True, frozen=True)
class Registration:
    """An instance, as its sidekick describes it."""

    service: str
    instance: str  # <release>-<n>
    customer_of: str = ""  # the service whose customer the instance set is for
    http: int | None = None  # ports in the container
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()
    health: HealthCheck
    drain: int  # seconds

    @property
    def container(self) -> str:
        """The container's name."""
        return f"{self.service}-{self.instance}"

    @property
    def app_unit(self) -> str:
        """The unit that runs the container."""
        release, _, number = self.instance.rpartition("-")
        return f"{self.service}-{release}@{number}.service"

    def form(self) -> dict[str, str]:
        """The fields that hold anything."""
        health = {f"health_{name}": value for name, value in vars(self.health).items()}
        fields = {
            "service": self.service,
            "instance": self.instance,
            "customer_of": self.customer_of,
            "http": self.http or "",
            "tcp": " ".join(map(str, self.tcp)),
            "udp": " ".join(map(str, self.udp)),
            **health,
            "drain": self.drain,
        }
        optional = {"health_port": 0}
        return {
            name: str(value)
            for name, value in fields.items()
            if value != "" and value != optional.get(name)
        }


def read_registration(form: Mapping[str, str]) -> Registration:
    """The inverse of `form`. Raises Malformed."""
    try:
        health = HealthCheck(
            kind=_one_of(KINDS, form["health_kind"]),
            port=int(form.get("health_port", "0")),
            path=form.get("health_path", ""),
            host=form.get("health_host", ""),
            command=form.get("health_command", ""),
            start_period=int(form["health_start_period"]),
            interval=int(form["health_interval"]),
            timeout=int(form["health_timeout"]),
            healthy_threshold=int(form["health_healthy_threshold"]),
            unhealthy_threshold=int(form["health_unhealthy_threshold"]),
        )
        return Registration(
            service=form["service"],
            instance=form["instance"],
            customer_of=form.get("customer_of", ""),
            http=int(form["http"]) if "http" in form else None,
            tcp=_ports(form.get("tcp", "")),
            udp=_ports(form.get("udp", "")),
            health=health,
            drain=int(form["drain"]),
        )
    except KeyError as error:
        raise Malformed(f"the field {error} is missing") from error
    except ValueError as error:
        raise Malformed(str(error)) from error


def _one_of(known: tuple[str, ...], word: str) -> str:
    if word not in known:
        raise ValueError(f"{word!r} is none of {', '.join(known)}")
    return word


def _ports(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))
