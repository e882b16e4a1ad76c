"""`make status`: the whole system at a glance."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

from lab import access, docker_daemon
from lab.endpoints import find
from lab.engine import Stack
from tools.progress import StepFailed


def status(stack_name: str) -> str:
    """Machines, platform, services and addresses of a stack as text."""
    endpoints = find(docker_daemon.find())
    outputs = Stack(stack_name, endpoints).outputs()
    machines = access.instances(endpoints, stack_name)
    if not outputs and not machines:
        return f"The stack {stack_name} is not up. Start it with: make up STACK={stack_name}"
    try:
        cluster = access.ask_cluster(stack_name)
        trouble = ""
    except (StepFailed, subprocess.TimeoutExpired) as error:
        cluster, trouble = {}, f"\nThe cluster itself does not answer: {error}"
    return "\n".join(
        [
            f"Stack {stack_name}: http://{outputs.get('publicIp', '?')}/",
            "",
            table(
                ("MACHINE", "ADDRESS", "POWER", "MODEL", "ETCD", "FLEET", "ROUTER"),
                _machines(machines, cluster),
            ),
            "",
            table(
                ("SERVICE", "RELEASE", "IMAGE", "INSTANCE", "MACHINE", "STATE", "ADDRESS"),
                _instances(cluster),
            ),
            "",
            table(
                ("PLATFORM UNIT", "MACHINE", "STATE"),
                sorted((one["name"], one["machine"], one["state"]) for one in cluster["units"])
                if cluster
                else [],
            ),
            trouble,
        ]
    ).rstrip()


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest value."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _machines(machines: list[dict[str, Any]], cluster: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    in_fleet = {one["address"] for one in cluster.get("machines", [])}
    in_etcd = {one["address"] for one in cluster.get("etcd", []) if one["healthy"]}
    routers = {one["node"]: one for one in cluster.get("routers", [])}
    for one in machines:
        router = routers.get(one["node"])
        yield (
            one["node"],
            one["ip"],
            one["power"],
            one["model"],
            "healthy" if one["ip"] in in_etcd else "no",
            "listed" if one["ip"] in in_fleet else "no",
            "no" if router is None else router.get("error") or "current",
        )


def _instances(cluster: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for service in cluster.get("services", []):
        for one in service["instances"]:
            yield (
                service["name"],
                one["release"],
                service["image"] or "-",
                str(one["n"]),
                one["machine"] or "-",
                one["state"],
                one["address"] or "not announced",
            )
