"""VMs, rules and groups for tests of the load balancer; VMs are 127.9.0.x here."""

from dataclasses import replace

from lab.azure.load_balancer.config import Backend, BalancingRule, Security
from lab.azure.network.security_groups import security_group
from lab.azure.network.security_rules import AddressSpace

SPACE = AddressSpace(prefixes=("127.9.0.0/16",))


def allow(name: str, priority: int, source: str, port: str, **more: object) -> dict[str, object]:
    """A security rule as azure-native's inputs have it."""
    return {
        "name": name,
        "priority": priority,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "*",
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": port,
        **more,
    }


def security(*rules: dict[str, object]) -> Security:
    return Security(groups=(security_group("core", {"securityRules": rules}),), space=SPACE)


OPEN = security(allow("all", 100, "*", "*"))


def backends(count: int) -> tuple[Backend, ...]:
    return tuple(Backend(name=f"core/{n}", address=f"127.9.0.{n + 1}") for n in range(count))


def rule(port: int, backend_port: int, count: int = 2, **changes: object) -> BalancingRule:
    plain = BalancingRule(
        id="lb/loadBalancingRules/web",
        protocol="Tcp",
        frontend_port=port,
        backend_port=backend_port,
        backends=backends(count),
        security=OPEN,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]
