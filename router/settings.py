"""The router's settings, from environment variables. The templates read the same variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clients.azure.managed_identity import METADATA
from clients.etcd import LOCAL_ENDPOINT
from contract.ports import HTTP, HTTPS, ROUTER_HEALTH


class SettingsError(Exception):
    """An environment variable is missing or has a wrong value."""


@dataclass(kw_only=True, frozen=True)
class Settings:
    """The settings of one router. Times are in seconds."""

    node: str
    machine_id: str
    node_ip: str | None = None  # where this node's etcd member listens
    etcd: str = LOCAL_ENDPOINT
    run_dir: Path = Path("/run/router")
    confd_dir: Path = Path("/etc/confd")
    certificate: Path = Path("/run/fleet-secrets/tls.crt")  # the stack's own
    vault: str = ""  # the stack's vault, https://NAME.vault.azure.net
    identity: str = ""  # client id of the node's managed identity
    metadata: str = METADATA
    node_life: Path = Path("/run/node-life")  # has the ids of the node's start and of docker's
    http_port: int = HTTP
    https_port: int = HTTPS
    health_port: int = ROUTER_HEALTH
    # Longer than the load balancer's probe takes to fail (twice 5 s).
    drain: float = 15
    # After the drain, open requests and calls may take this long.
    quit_timeout: float = 30

    # Megabytes for the retired workers of one nginx, which wait for their last connections to end
    # (3 to 15 each). The container has 1,024.
    retiring_memory: float = 192

    # After an outage of etcd, sidekicks write expired keys again within one beat. Until then the
    # router keeps their instances.
    patience: float = 20
    # How often to look for a new version of a certificate.
    certificate_poll: float = 600
    # How long a starting router waits for certificates before it serves the stack's own.
    certificate_patience: float = 10

    @property
    def own_ports(self) -> tuple[int, ...]:
        """The router's own TCP ports, which no service may use."""
        return (self.http_port, self.https_port, self.health_port)

    @property
    def certificates(self) -> Path:
        """The folder of certificates with their private keys. On the node it is a tmpfs."""
        return self.run_dir / "certificates"

    @property
    def served_file(self) -> Path:
        """The route table, for confd."""
        return self.run_dir / "served.json"

    @property
    def origin_headers(self) -> Path:
        """The headers that nginx drops from requests, included by its configuration."""
        return self.run_dir / "origin-headers.conf"

    @property
    def ready_file(self) -> Path:
        """While this file is there, nginx answers its health probe with 200."""
        return self.run_dir / "ready"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Raises SettingsError, which names the variable."""

    def number(name: str, default: float) -> float:
        text = environment.get(name, "")
        if not text:
            return default
        try:
            return float(text)
        except ValueError as error:
            raise SettingsError(f"{name} must be a number, not {text!r}") from error

    node = environment.get("NODE_NAME", "")
    if not node:
        raise SettingsError("NODE_NAME is not set; start the router with --env-file /run/node.env")
    default = Settings(node=node, machine_id=machine_id(environment))
    return Settings(
        node=default.node,
        machine_id=default.machine_id,
        node_ip=environment.get("NODE_IP"),
        etcd=environment.get("ROUTER_ETCD") or default.etcd,
        run_dir=Path(environment.get("ROUTER_RUN_DIR") or default.run_dir),
        confd_dir=Path(environment.get("ROUTER_CONFD_DIR") or default.confd_dir),
        certificate=Path(environment.get("ROUTER_TLS_CERTIFICATE") or default.certificate),
        vault=environment.get("VAULT_URL", ""),
        identity=environment.get("IDENTITY_CLIENT_ID", ""),
        metadata=environment.get("ROUTER_METADATA") or default.metadata,
        node_life=Path(environment.get("ROUTER_NODE_LIFE") or default.node_life),
        http_port=int(number("ROUTER_HTTP_PORT", default.http_port)),
        https_port=int(number("ROUTER_HTTPS_PORT", default.https_port)),
        health_port=int(number("ROUTER_HEALTH_PORT", default.health_port)),
        drain=number("ROUTER_DRAIN", default.drain),
        quit_timeout=number("ROUTER_QUIT_TIMEOUT", default.quit_timeout),
        retiring_memory=number("ROUTER_RETIRING_MEMORY", default.retiring_memory),
        patience=number("ROUTER_PATIENCE", default.patience),
        certificate_poll=number("ROUTER_CERTIFICATE_POLL", default.certificate_poll),
        certificate_patience=number("ROUTER_CERTIFICATE_PATIENCE", default.certificate_patience),
    )


def machine_id(environment: Mapping[str, str], path: Path = Path("/etc/machine-id")) -> str:
    """The node's id in fleet: MACHINE_ID, or the node's /etc/machine-id, which is mounted here."""
    identity = environment.get("MACHINE_ID", "")
    if not identity and path.is_file():
        identity = path.read_text(encoding="ascii").strip()
    if not identity:
        raise SettingsError(f"MACHINE_ID is not set and {path} is missing or empty")
    return identity
