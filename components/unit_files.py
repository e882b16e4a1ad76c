"""The fleet units of the platform and of services, and the routes. Pure: settings in, text out.

The cluster program fills in the release id (and the image by its digest), which depends on
everything else in the text: `__RELEASE__`, `__IMAGE__`.
"""

import re
import unicodedata
from typing import Any

from components.artefacts import Artefacts
from components.templates import render
from settings import InstanceSet

START_TIMEOUT = 120
"""Seconds that a new instance has to become healthy, before its rollout fails."""
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


def service_order(service: InstanceSet, drain_seconds: int) -> dict[str, Any]:
    """What `fleet-cluster apply` is told about an instance set."""
    return {
        "name": service.name,
        "image": service.image,
        "instances": service.instances,
        "route": route(service),
        "units": {
            "app": app_unit(service),
            "announce": announce_unit(service, drain_seconds),
        },
        "drain": drain_seconds,
        "startTimeout": START_TIMEOUT,
        "keep": KEPT_RELEASES,
    }


def route(service: InstanceSet) -> dict[str, Any]:
    """What routers learn about a service."""
    return {
        "hosts": sorted(service.http.hosts) if service.http else [],
        "http": service.http is not None,
        "health": service.http.health if service.http else "",
        "tcp": [{"port": port} for port in service.tcp],
        "udp": [{"port": port} for port in service.udp],
        "sticky": False,
        "https_redirect": False,
    }


def platform_unit(name: str, sha256: str) -> str:
    """The global unit of a platform image."""
    image = f"fleet/{name}:sha-{sha256[:12]}"
    return _unit(name, sha256=sha256, image=image)


def app_unit(service: InstanceSet) -> str:
    """The template unit that runs an instance's container."""
    return _unit(
        "service@",
        service=service,
        published=_published(service),
        env=[command_argument(f"{name}={value}") for name, value in sorted(service.env.items())],
    )


def announce_unit(service: InstanceSet, drain_seconds: int) -> str:
    """The template unit of an instance's sidekick."""
    return _unit("service-announce@", service=service, drain_seconds=drain_seconds)


def _unit(name: str, **values: object) -> str:
    """A unit without its comments: rewording one must not roll out every service anew."""
    text = render(f"units/{name}.service", **values)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return re.sub(r"\n(?=\[)", "\n\n", "\n".join(lines)) + "\n"


def command_argument(text: str) -> str:
    """One argument of an ExecStart line, exactly as the program shall get it.

    Quotes and backslashes as in C, %% for systemd's specifiers, $$ for its variables.
    https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
    """
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValueError(f"a unit cannot hold control characters: {text!r}")
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        text = text.replace(character, escaped)
    return f'"{text}"'


def _published(service: InstanceSet) -> list[str]:
    """The container's ports with their protocols, each once."""
    http = [f"{service.http.port}/tcp"] if service.http else []
    tcp = [f"{port}/tcp" for port in service.tcp]
    udp = [f"{port}/udp" for port in service.udp]
    return list(dict.fromkeys([*http, *tcp, *udp]))
