"""The fleet units of the platform and of services, and the routes. Pure: settings in, text out.

The cluster program fills in the release id (and the image by its digest), which depends on
everything else in the text: `__RELEASE__`, `__IMAGE__`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from components.rendering.artefacts import Artefacts
from components.rendering.templates import render
from settings import Certificate, Health, InstanceSet
from settings.fields import fits_a_unit

START_TIMEOUT = 120
"""Seconds that a new instance has to become healthy, before its rollout fails."""
START_MARGIN = 60
"""Seconds on top of what a service's own health settings take."""
KEPT_RELEASES = 3
"""How many older releases stay known to fleet, inactive, for a quick way back."""


def platform_order(artefacts: Artefacts) -> dict[str, Any]:
    """What `fleet-cluster platform` is told."""
    hashes = artefacts.image_hashes()
    return {
        "images": hashes,
        "units": {name: platform_unit(name, hashes[name]) for name in ("registry", "router")},
        "timeout": 300,
    }


def certificates_order(
    certificates: Mapping[str, Certificate],
    hosts: Mapping[str, Sequence[str]],
    references: Mapping[str, str],
) -> dict[str, Any]:
    """What `fleet-cluster certificates` is told: where routers find each, never what is in it.

    `hosts` are known of certificates in our own vault only, and `references` are theirs.
    """
    order: dict[str, dict[str, object]] = {}
    for name, certificate in certificates.items():
        if certificate.key_vault_secret_id is not None:
            order[name] = {"secretId": certificate.key_vault_secret_id}
        else:
            secret, _, version = references[name].partition("/")
            order[name] = {"secret": secret, "version": version, "hosts": list(hosts[name])}
    return {"certificates": order}


def service_order(
    service: InstanceSet, drain_seconds: int, references: Mapping[str, str]
) -> dict[str, Any]:
    """What `fleet-cluster apply` is told about an instance set.

    `references` say where the vault has each of its secrets: `name/version`.
    """
    return {
        "name": service.name,
        "image": service.image,
        "instances": service.instances,
        "route": route(service),
        "units": {
            "app": app_unit(service, references),
            "announce": announce_unit(service, drain_seconds),
        },
        "drain": drain_seconds,
        "startTimeout": _start_timeout(service.health),
        "keep": KEPT_RELEASES,
    }


def _start_timeout(health: Health | None) -> int:
    """Its start period, and as many checks as it has to pass after that."""
    if health is None:
        return START_TIMEOUT
    checks = health.healthy_threshold * (health.interval + health.timeout)
    return max(START_TIMEOUT, health.start_period + checks + START_MARGIN)


def route(service: InstanceSet) -> dict[str, Any]:
    """What routers learn about a service."""
    return {
        "hosts": sorted(service.http.hosts) if service.http else [],
        "http": service.http is not None,
        "health": service.http.health if service.http else "",
        "tcp": [{"port": port} for port in service.tcp],
        "udp": [{"port": port} for port in service.udp],
        "sticky": service.http is not None and service.http.sticky,
        "https_redirect": service.http is not None and service.http.https_redirect,
        "underscore_headers": service.http is not None and service.http.underscore_headers,
        "customer": service.customer,
    }


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
