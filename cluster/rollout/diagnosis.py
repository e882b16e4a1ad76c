"""Why an instance is not ready, in words that help the reader act. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from clients.fleet import DesiredState, Machine, Unit
from clients.routers import routers_behind
from cluster.rollout.observed import ObservedService
from cluster.rollout.release import InstanceId


def why_not_ready(view: ObservedService, instance_id: InstanceId) -> str:
    """The first reason in the chain from node to router."""
    instance = view.instance(instance_id)
    if instance.app is None or instance.announce is None:
        return "its units are not in fleet"
    if not instance.machine_id:
        return why_unscheduled(view, instance.app) or "fleet has found no machine for it yet"
    node = view.node(instance.machine_id)
    if instance.is_lost:
        return f"{node} is silent: fleet moves the instance when it considers the node gone"
    if instance.announced is not None:
        return instance.left_out or routers_behind(view.routers, instance.announced.index)
    note = view.record.failures.get(instance_id.key)
    if note is not None:
        log = "\n".join(f"    {line}" for line in note.log.strip().splitlines())
        return f"on {note.node}: {note.reason}" + (f"; its last log lines:\n{log}" if log else "")
    for unit, states in (
        (instance.app, instance.app_states),
        (instance.announce, instance.announce_states),
    ):
        running = [state for state in states if state.is_running]
        if running:
            continue
        if not states:
            return f"on {node}: systemd does not know {unit.name} yet"
        state = states[0]
        if instance.is_preparing and unit is instance.app:
            return f"on {node}: its image is being pulled"
        detail = f"{state.active} ({state.sub})"
        if state.load != "loaded":
            detail += f", its file is {state.load}"
        return f"on {node}: {unit.name} is {detail}; see `journalctl -u {unit.name}` there"
    return f"on {node}: it runs, but has not been healthy yet"


def why_unscheduled(view: ObservedService, unit: Unit) -> str | None:
    """The constraint that no node meets, or None if a node could run the unit."""
    if not view.machines:
        return "fleet has no machine"
    obstacles = {}
    for machine in view.machines:
        obstacle = next(_obstacles(view, unit, machine), None)
        if obstacle is None:
            return None
        obstacles[view.node(machine.id)] = obstacle
    details = "; ".join(f"{node}: {obstacle}" for node, obstacle in obstacles.items())
    return f"no machine can take {unit.name}: {details}"


def _obstacles(view: ObservedService, unit: Unit, machine: Machine) -> Iterator[str]:
    metadata = [option.partition("=")[::2] for option in _fleet(unit, "MachineMetadata")]
    for key in dict.fromkeys(key for key, _ in metadata):
        allowed = [value for other, value in metadata if other == key]
        if machine.metadata.get(key) not in allowed:
            yield f"it is not {key}={' or '.join(allowed)}"
    here = [
        other
        for other in view.units.values()
        if other.machine_id == machine.id
        and other.name != unit.name
        and other.desired is not DesiredState.INACTIVE
    ]
    for other in here:
        if _conflict(unit, other) or _conflict(other, unit):
            yield f"{other.name} runs there and conflicts with it (Conflicts)"


def _conflict(unit: Unit, other: Unit) -> bool:
    return any(fnmatchcase(other.name, glob) for glob in _fleet(unit, "Conflicts"))


def _fleet(unit: Unit, name: str) -> list[str]:
    values: list[str] = []
    for option in unit.options:
        if option.section == "X-Fleet" and option.name == name:
            quoted = option.value.startswith('"') and option.value.endswith('"')
            values += option.value[1:-1].split('" "') if quoted else [option.value]
    return [_expand(unit.name, value) for value in values]


def _expand(name: str, value: str) -> str:
    """The specifiers that fleet knows in [X-Fleet]: %n, %N, %p, %i."""
    stem = name.rpartition(".")[0]
    prefix, _, instance = stem.partition("@")
    for specifier, text in (("%n", name), ("%N", stem), ("%p", prefix), ("%i", instance)):
        value = value.replace(specifier, text)
    return value
