"""The load balancer's configuration: public addresses, rules, pools, probes, security groups.

The control plane writes the file with `dump`, replacing it atomically; the process reads it with
`load`. JSON, one object, the field names of the dataclasses below.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lab.azure.arm.store import write_private
from lab.azure.network.security_rules import AddressSpace, Ports, Rule, SecurityGroup

PATH = Path("/var/lib/lab/load-balancer.json")
STATES_PATH = Path("/var/lib/lab/probes.json")

Protocol = Literal["Tcp", "Udp"]
Distribution = Literal["Default", "SourceIP", "SourceIPProtocol"]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A VM of a pool. ``name`` is its ARM id, which it keeps when it is reimaged."""

    name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Security:
    """The filter for packets to a pool's VMs. Without a group nothing passes (Standard SKU)."""

    groups: tuple[SecurityGroup, ...]
    space: AddressSpace


@dataclass(frozen=True, kw_only=True)
class Probe:
    """``id`` is the ARM id; ``interval`` in seconds; ``path`` is for Http and Https.

    ``threshold`` is ARM's probeThreshold. Its older numberOfProbes has no effect on Azure.
    """

    id: str
    protocol: Literal["Tcp", "Http", "Https"]
    port: int
    path: str = "/"
    interval: float = 15
    threshold: int = 1


@dataclass(frozen=True, kw_only=True)
class BalancingRule:
    """One rule; ``id`` is the ARM id. Without a probe every backend counts as healthy."""

    id: str
    protocol: Protocol
    frontend_port: int
    backend_port: int
    backends: tuple[Backend, ...]
    security: Security
    probe: Probe | None = None
    distribution: Distribution = "Default"
    idle_timeout_minutes: float = 4
    tcp_reset: bool = False


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """A public address, which in the lab is a loopback address of the host."""

    address: str
    rules: tuple[BalancingRule, ...]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    frontends: tuple[Frontend, ...] = ()


def dump(configuration: Configuration, path: Path = PATH) -> None:
    """Replaces the file atomically."""
    write_private(path, json.dumps(asdict(configuration), indent=1))


def load(path: Path = PATH) -> Configuration:
    """Reads the file; a missing file means that there is nothing to balance."""
    if not path.exists():
        return Configuration()
    raw = json.loads(path.read_text())
    return Configuration(frontends=tuple(_frontend(each) for each in raw["frontends"]))


def _frontend(raw: Mapping[str, Any]) -> Frontend:
    return Frontend(address=raw["address"], rules=tuple(_rule(each) for each in raw["rules"]))


def _rule(raw: Mapping[str, Any]) -> BalancingRule:
    # Numbers that come through the engine are all floating-point.
    ports = {name: int(raw[name]) for name in ("frontend_port", "backend_port")}
    fields = {
        **raw,
        **ports,
        "backends": tuple(Backend(**each) for each in raw["backends"]),
        "security": _security(raw["security"]),
        "probe": _probe(raw["probe"]) if raw["probe"] else None,
    }
    return BalancingRule(**fields)


def _probe(raw: Mapping[str, Any]) -> Probe:
    whole = {name: int(raw[name]) for name in ("port", "threshold")}
    return Probe(**{**raw, **whole})


def _security(raw: Mapping[str, Any]) -> Security:
    return Security(
        groups=tuple(
            SecurityGroup(
                name=group["name"], rules=tuple(_security_rule(rule) for rule in group["rules"])
            )
            for group in raw["groups"]
        ),
        space=AddressSpace(prefixes=tuple(raw["space"]["prefixes"])),
    )


def _security_rule(raw: Mapping[str, Any]) -> Rule:
    fields = {
        **raw,
        "sources": tuple(raw["sources"]),
        "destinations": tuple(raw["destinations"]),
        "source_ports": tuple(Ports(**ports) for ports in raw["source_ports"]),
        "destination_ports": tuple(Ports(**ports) for ports in raw["destination_ports"]),
    }
    return Rule(**fields)
