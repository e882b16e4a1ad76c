"""What `make up` prints at its end: the addresses of the services, and what to do next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SHOWN = 8
"""Services that are printed; a stack may have a hundred."""
LAB = ".venv/bin/python -m lab"


def hint(stack_name: str, outputs: Mapping[str, Any], certificates: Path | None) -> str:
    """`certificates`: the file with the certificates that the lab made for the stack."""
    lines = ["", "The cluster is up. Your services answer on", ""]
    lines += _services(outputs)
    lines += _names(outputs, certificates)
    lines += ["", *_columns(_commands(stack_name)), ""]
    return "\n".join(lines)


def _services(outputs: Mapping[str, Any]) -> Iterator[str]:
    """The address if a service answers there, and the other services with their addresses."""
    services: Mapping[str, Sequence[str]] = outputs["services"]
    address = outputs["publicIp"]
    own_name = _host(outputs["url"])
    rows = {
        name: "  ".join(url.replace(own_name, address) for url in urls)
        for name, urls in services.items()
    }
    sites = {name: row for name, row in rows.items() if row == f"http://{address}"}
    if sites:
        yield f"    http://{address}/"
    named = {name: row for name, row in rows.items() if name not in sites}
    yield from _columns(dict(list(named.items())[:SHOWN]))
    if len(named) > SHOWN:
        yield f"    … and {len(named) - SHOWN} more: make status"


def _names(outputs: Mapping[str, Any], certificates: Path | None) -> Iterator[str]:
    """How to ask for a host name, which only the user's own DNS could resolve."""
    hosts = [
        _host(url)
        for urls in outputs["services"].values()
        for url in urls
        if url.startswith("http") and _host(url) != _host(outputs["url"])
    ]
    if not hosts:
        return
    trust = f"--cacert {certificates} " if certificates else "--insecure "
    yield ""
    yield "DNS does not know their host names. Ask the address for one like this:"
    yield ""
    yield f"    curl {trust}--connect-to ::{outputs['publicIp']}: https://{hosts[0]}/"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _commands(stack_name: str) -> dict[str, str]:
    named = stack_name != "dev"
    make = f" STACK={stack_name}" if named else ""
    option = f" --stack {stack_name}" if named else ""
    return {
        f"make status{make}": "nodes, units, services, addresses",
        f"{LAB} ssh{option} core-0": "a shell on a node",
        f"{LAB} logs{option} SERVICE": "what a service prints",
        f"{LAB} fault{option} kill core-0": "break a node and watch the cluster heal",
        f"make registry{make}": "an address to push your own images to",
        f"make up{make}": f"apply a change of Pulumi.{stack_name}.yaml",
        f"make down{make}": "destroy the stack and remove the lab",
    }


def _columns(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows), default=0)
    return [f"    {left:{width}}   {right}" for left, right in rows.items()]
