"""The fleet units of the platform and of services. Pure: settings in, text out.

`fleet-cluster` replaces `__IMAGE__` by the image with its digest, and `__RELEASE__` by the release
id, which is a hash of the digest and the units' texts.
"""

import re
from collections.abc import Mapping

from components.rendering.templates import render
from contract.registration import FOLDER, SOCKET, HealthCheck, Registration
from contract.requests import image_of
from settings import InstanceSet
from settings.fields import fits_a_unit

PLATFORM_UNITS = ("announcer", "registry", "router")


def platform_unit(name: str, sha256: str) -> str:
    """The global unit of a platform image."""
    image = f"fleet/{image_of(name)}:sha-{sha256[:12]}"
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
    form = registration(service, drain_seconds).form()
    del form["instance"]  # the cluster program and systemd fill it in
    return _unit(
        "service-announce@",
        service=service,
        customer_of=_customer_of(service),
        fields=[command_argument(f"{name}={value}") for name, value in form.items()],
        socket=SOCKET,
        folder=FOLDER,
        drain_seconds=drain_seconds,
    )


def registration(service: InstanceSet, drain_seconds: int) -> Registration:
    """The registration that an instance's sidekick sends to the announcer."""
    return Registration(
        service=service.name,
        instance="__RELEASE__-%i",
        customer_of=_customer_of(service) or "",
        http=service.http.port if service.http else None,
        tcp=service.tcp,
        udp=service.udp,
        health=_health_check(service),
        drain=drain_seconds,
    )


def _customer_of(service: InstanceSet) -> str | None:
    """The name of the service, if this set belongs to a customer."""
    return service.name.removesuffix(f"-{service.customer}") if service.customer else None


def _health_check(service: InstanceSet) -> HealthCheck:
    """All health settings, because the announcer has no defaults."""
    health, http = service.health, service.http
    kind = health.kind or _kind_by_ports(service)
    port, path, host = 0, "", ""
    if kind == "http" and http:
        port, path = http.port, health.http or http.health
        # a service without hosts is the default site, which must accept any host
        host = http.hosts[0] if http.hosts else "localhost"
    elif kind == "tcp":
        port = health.tcp or service.tcp[0]
    return HealthCheck(
        kind=kind,
        port=port,
        path=path,
        host=host,
        command=health.command or "",
        start_period=health.start_period,
        interval=health.interval,
        timeout=health.timeout,
        healthy_threshold=health.healthy_threshold,
        unhealthy_threshold=health.unhealthy_threshold,
    )


def _kind_by_ports(service: InstanceSet) -> str:
    """`container` means the image's health check, which docker runs."""
    return "http" if service.http else "tcp" if service.tcp else "container"


def _unit(name: str, **values: object) -> str:
    """A unit without comments: a changed comment must not roll out every service."""
    text = render(f"units/{name}.service", **values)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return re.sub(r"\n(?=\[)", "\n\n", "\n".join(lines)) + "\n"


def command_argument(text: str) -> str:
    """One argument of an ExecStart line, where $$ stands for a dollar.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
    """
    return _quoted(text).replace("$", "$$")


def _quoted(text: str) -> str:
    """Quotes a text: quotes and backslashes as in C, %% for a percent sign."""
    if not fits_a_unit(text):
        raise ValueError(f"a unit can't contain control characters: {text!r}")
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        text = text.replace(character, escaped)
    return f'"{text}"'


def _published(service: InstanceSet) -> list[str]:
    """The container's ports with their protocols, without duplicates."""
    http = [f"{service.http.port}/tcp"] if service.http else []
    tcp = [f"{port}/tcp" for port in service.tcp]
    udp = [f"{port}/udp" for port in service.udp]
    # the announcer checks this port
    health = [f"{service.health.tcp}/tcp"] if service.health.tcp else []
    return list(dict.fromkeys([*http, *tcp, *udp, *health]))
