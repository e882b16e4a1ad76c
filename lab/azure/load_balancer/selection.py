"""Chooses the backend of a new flow: by a hash of its tuple, among the healthy backends.

Pure. It uses rendezvous hashing: every backend has a score for the flow's key, and the highest
wins. So a backend that comes or goes moves only its own flows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from lab.azure.load_balancer.config import Backend, BalancingRule, Security
from lab.azure.network.security_rules import ALL_PORTS, Flow, Verdict, evaluate

Address = tuple[str, int]
IsHealthy = Callable[[BalancingRule, Backend], bool]

_REMEMBERED = 4096


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a flow gets no backend."""

    reason: str


class Selector:
    """Chooses for one rule, and caches the security groups' verdicts on clients."""

    def __init__(self, rule: BalancingRule, frontend: str, is_healthy: IsHealthy) -> None:
        self.rule = rule
        self._frontend = frontend
        self._is_healthy = is_healthy
        self._verdicts: dict[tuple[Address, str], Verdict] = {}
        self._any_source_port = _ignores_source_ports(rule.security)

    def choose(self, client: Address) -> Backend | Refusal:
        """In Azure's order: the balancer picks a VM, then that VM's groups decide."""
        healthy = self.healthy()
        if not healthy:
            return Refusal(reason="no healthy backend")
        backend = pick(self.key(client), healthy)
        verdict = self._verdict(client, backend)
        if not verdict.allowed:
            return Refusal(reason=f"denied by {verdict.rule}")
        return backend

    def healthy(self) -> list[Backend]:
        return [one for one in self.rule.backends if self._is_healthy(self.rule, one)]

    def key(self, client: Address) -> bytes:
        """The part of a flow that the hash covers (Azure: 5-tuple, 2-tuple, 3-tuple)."""
        source, port = client
        match self.rule.distribution:
            case "SourceIP":
                text = f"{source} {self._frontend}"
            case "SourceIPProtocol":
                text = f"{source} {self._frontend} {self.rule.protocol}"
            case "Default":
                text = (
                    f"{source} {port} {self._frontend} {self.rule.frontend_port} "
                    f"{self.rule.protocol}"
                )
        return text.encode()

    def _verdict(self, client: Address, backend: Backend) -> Verdict:
        source = (client[0], 0) if self._any_source_port else client
        known = self._verdicts.get((source, backend.address))
        if known is None:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            flow = Flow(
                protocol=self.rule.protocol,
                source=client[0],
                source_port=client[1],
                destination=backend.address,
                destination_port=self.rule.backend_port,
            )
            known = self._verdicts[source, backend.address] = admits(self.rule.security, flow)
        return known


def pick(key: bytes, backends: Sequence[Backend]) -> Backend:
    """The backend with the highest score for this key. Its ports do not count, so that TCP and UDP
    flows with the same key get the same backend."""
    return max(backends, key=lambda backend: _score(key, backend.name))


def admits(security: Security, flow: Flow) -> Verdict:
    """The groups' verdict on an inbound flow. A Standard load balancer without any is closed."""
    if not security.groups:
        return Verdict(allowed=False, rule="default (no security group on subnet or interface)")
    return evaluate(security.groups, "Inbound", flow, security.space)


def _score(key: bytes, name: str) -> bytes:
    return blake2b(key, digest_size=8, key=blake2b(name.encode(), digest_size=16).digest()).digest()


def _ignores_source_ports(security: Security) -> bool:
    rules = [rule for group in security.groups for rule in group.rules]
    return all(ALL_PORTS in rule.source_ports for rule in rules)
