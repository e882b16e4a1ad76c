"""`make status`: nodes, platform, services and what is wrong with them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

from lab.commands import shell
from lab.machine import docker_daemon
from lab.machine.endpoints import find
from lab.pulumi.engine import Stack
from tools.progress import StepFailed

MOST_INSTANCES = 40
"""More rows than this are not printed. Trouble of any instance still is."""
MOST_HOSTS = 2


def status(stack_name: str) -> str:
    """Nodes, platform, services and addresses of a stack as text."""
    endpoints = find(docker_daemon.find())
    outputs = Stack(stack_name, endpoints).outputs()
    vms = shell.vms(endpoints, stack_name)
    if not outputs and not vms:
        return f"The stack {stack_name} is not up. Start it with: make up STACK={stack_name}"
    try:
        cluster = shell.ask_cluster(stack_name)
        trouble = ""
    except (StepFailed, subprocess.TimeoutExpired) as error:
        cluster, trouble = {}, f"the cluster does not answer: {error}"
    return f"Stack {stack_name}: http://{outputs.get('publicIp', '?')}/\n\n" + picture(
        vms, cluster, [trouble] if trouble else []
    )


def picture(vms: list[dict[str, Any]], cluster: dict[str, Any], trouble: Iterable[str] = ()) -> str:
    """Tables of the VMs as Azure reports them, and of `fleet-cluster status`. Trouble comes last,
    where a terminal shows it."""
    services = cluster.get("services", [])
    parts = [
        table(
            ("NODE", "ADDRESS", "POWER", "MODEL", "ETCD", "FLEET", "ROUTER"),
            _nodes(vms, cluster),
        ),
        table(
            ("SERVICE", "CUSTOMER", "STATE", "READY", "RELEASE", "IMAGE", "REACHED BY"),
            map(_service, services),
        ),
        _instances(services),
    ]
    if certificates := cluster.get("certificates"):
        parts.append(
            table(("CERTIFICATE", "HOSTS", "FROM", "ROUTERS"), map(_certificate, certificates))
        )
    parts.append(
        table(
            ("PLATFORM UNIT", "NODE", "STATE"),
            sorted((one["name"], one["machine"], one["state"]) for one in cluster.get("units", [])),
        )
    )
    if found := [*trouble, *_trouble(cluster)]:
        parts.append("\n  ".join(["TROUBLE", *found]))
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest value."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _nodes(vms: list[dict[str, Any]], cluster: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    in_fleet = {one["address"] for one in cluster.get("machines", [])}
    in_etcd = {one["address"] for one in cluster.get("etcd", []) if one["healthy"]}
    routers = {one["node"]: one for one in cluster.get("routers", [])}
    for one in vms:
        router = routers.get(one["node"])
        yield (
            one["node"],
            one["ip"],
            one["power"],
            one["model"],
            "healthy" if one["ip"] in in_etcd else "no",
            "listed" if one["ip"] in in_fleet else "no",
            _router_state(router),
        )


def _router_state(router: dict[str, Any] | None) -> str:
    if router is None:
        return "no"
    return "trouble" if router["error"] or router["problems"] else "current"


def _service(service: dict[str, Any]) -> tuple[str, ...]:
    return (
        service["name"],
        service["customer"] or "-",
        service["state"],
        f"{service['ready']}/{service['wanted'] or '?'}",
        service["release"] or "-",
        service["image"] or "-",
        _some(service["reached"]) + (" (sticky)" if service["sticky"] else ""),
    )


def _instances(services: list[dict[str, Any]]) -> str:
    rows = [
        (
            f"{service['name']}-{one['release']}@{one['n']}",
            one["machine"] or "-",
            one["state"],
            one["address"] or "not announced",
        )
        for service in services
        for one in service["instances"]
    ]
    if len(rows) > MOST_INSTANCES:
        return f"{len(rows)} instances: `fleet-cluster status` on a node lists all of them."
    return table(("INSTANCE", "NODE", "STATE", "ADDRESS"), rows)


def _certificate(certificate: dict[str, Any]) -> tuple[str, ...]:
    bad = sorted(certificate["problems"])
    return (
        certificate["name"],
        _some(certificate["hosts"]) or "those it covers",
        certificate["source"] or "-",
        f"not on {', '.join(bad)}" if bad else "all",
    )


def _some(texts: Sequence[str]) -> str:
    """As many texts as fit on a line: a customer may have dozens of hosts."""
    shown = " ".join(texts[:MOST_HOSTS])
    return f"{shown} +{len(texts) - MOST_HOSTS}" if len(texts) > MOST_HOSTS else shown


def _trouble(cluster: dict[str, Any]) -> Iterable[str]:
    yield from cluster.get("trouble", [])
    for certificate in cluster.get("certificates", []):
        for node, reason in sorted(certificate["problems"].items()):
            yield f"certificate {certificate['name']} on {node}: {reason}"
    for service in cluster.get("services", []):
        for line in service["trouble"]:
            yield f"{service['name']}: {line}"
