"""The fleet units of the platform and of services. Pure: settings in, text out.

The cluster program fills in the release id (and the image by its digest), which depends on
everything else in the text: `__RELEASE__`, `__IMAGE__`.
"""

import re
from collections.abc import Mapping

from components.rendering.templates import render
from settings import InstanceSet
from settings.fields import fits_a_unit


def platform_unit(name: str, sha256: str) -> str:
    """The global unit of a platform image."""
    image = f"fleet/{name}:sha-{sha256[:12]}"
    return _unit(name, sha256=sha256, image=image)


def app_unit(service: InstanceSet, references: Mapping[str, str]) -> str:
    """The template unit that runs an instance's container."""
    return _unit(
        "service@",
        service=service,
        customer_of=_customer_of(service),
        published=_published(service),
        env=[command_argument(f"{name}={value}") for name, value in sorted(service.env.items())],
        secrets={name: references[secret] for name, secret in sorted(service.secrets.items())},
        tmpfs=[each.split(":") for each in service.tmpfs],
    )


def announce_unit(service: InstanceSet, drain_seconds: int) -> str:
    """The template unit of an instance's sidekick."""
    return _unit(
        "service-announce@",
        service=service,
        customer_of=_customer_of(service),
        health=[environment(name, value) for name, value in _health(service).items()],
        drain_seconds=drain_seconds,
    )


def _customer_of(service: InstanceSet) -> str | None:
    """The service whose customer this set is for."""
    return service.name.removesuffix(f"-{service.customer}") if service.customer else None


def _health(service: InstanceSet) -> dict[str, str | int]:
    """How the sidekick checks, as variables: all values, because it has no defaults."""
    health = service.health
    kind = health.kind or _kind_by_ports(service)
    values: dict[str, str | int | None] = {"HEALTH_KIND": kind}
    if kind == "http" and service.http:
        values["HEALTH_PATH"] = health.http or service.http.health
        # a service without hosts is the default site, which must answer for any host
        values["HEALTH_HOST"] = service.http.hosts[0] if service.http.hosts else "localhost"
    elif kind == "tcp":
        values["HEALTH_PORT"] = health.tcp or service.tcp[0]
    values |= {
        "HEALTH_COMMAND": health.command,
        "HEALTH_START_PERIOD": health.start_period,
        "HEALTH_INTERVAL": health.interval,
        "HEALTH_TIMEOUT": health.timeout,
        "HEALTHY_THRESHOLD": health.healthy_threshold,
        "UNHEALTHY_THRESHOLD": health.unhealthy_threshold,
    }
    return {name: value for name, value in values.items() if value is not None}


def _kind_by_ports(service: InstanceSet) -> str:
    """`container` is the image's own health check, which docker runs."""
    return "http" if service.http else "tcp" if service.tcp else "container"


def _unit(name: str, **values: object) -> str:
    """A unit without its comments: rewording one must not roll out every service anew."""
    text = render(f"units/{name}.service", **values)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return re.sub(r"\n(?=\[)", "\n\n", "\n".join(lines)) + "\n"


def command_argument(text: str) -> str:
    """One argument of an ExecStart line, exactly as the program shall get it: $$ is a dollar.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
    """
    return _quoted(text).replace("$", "$$")


def environment(name: str, value: str | int) -> str:
    """What follows `Environment=`: there, a dollar is just a dollar."""
    if isinstance(value, int):
        return f"{name}={value}"
    return _quoted(f"{name}={value}")


def _quoted(text: str) -> str:
    """In quotes: quotes and backslashes as in C, %% for systemd's specifiers."""
    if not fits_a_unit(text):
        raise ValueError(f"a unit cannot hold control characters: {text!r}")
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        text = text.replace(character, escaped)
    return f'"{text}"'


def _published(service: InstanceSet) -> list[str]:
    """The container's ports with their protocols, each once."""
    http = [f"{service.http.port}/tcp"] if service.http else []
    tcp = [f"{port}/tcp" for port in service.tcp]
    udp = [f"{port}/udp" for port in service.udp]
    # the sidekick checks this port
    health = [f"{service.health.tcp}/tcp"] if service.health.tcp else []
    return list(dict.fromkeys([*http, *tcp, *udp, *health]))
