"""The `connection` input as typed values: hosts and credentials."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.providers.wire import Props

DEFAULT_DIAL_ERROR_LIMIT = 10
DEFAULT_PER_DIAL_TIMEOUT = 15


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An SSH server, with credentials for it. Its repr shows no credentials."""

    host: str
    port: int = 22
    user: str = "root"
    private_key: str | None = field(default=None, repr=False)
    private_key_password: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    agent_socket_path: str | None = None
    host_key: str | None = None
    """One authorized_keys line; None accepts any host key."""
    dial_error_limit: int = DEFAULT_DIAL_ERROR_LIMIT
    """Failed dials that are allowed; -1 for any number."""
    per_dial_timeout: int = DEFAULT_PER_DIAL_TIMEOUT
    """Seconds for the TCP connection only; 0 for the system's own limit."""


@dataclass(frozen=True, kw_only=True)
class Connection(Endpoint):
    """The host of the command, perhaps behind a jump host."""

    proxy: Endpoint | None = None


def endpoint(props: Props) -> Endpoint:
    """A `connection.proxy` input, already checked and revealed."""
    return Endpoint(**_fields(props))


def connection(props: Props) -> Connection:
    """A `connection` input, already checked and revealed."""
    proxy = endpoint(props["proxy"]) if "proxy" in props else None
    return Connection(**_fields(props), proxy=proxy)


def _fields(props: Props) -> Props:
    return {
        "host": props["host"],
        "port": int(props.get("port", 22)),
        "user": props.get("user", "root"),
        "private_key": props.get("privateKey"),
        "private_key_password": props.get("privateKeyPassword"),
        "password": props.get("password"),
        "agent_socket_path": props.get("agentSocketPath"),
        "host_key": props.get("hostKey"),
        "dial_error_limit": int(props.get("dialErrorLimit", DEFAULT_DIAL_ERROR_LIMIT)),
        "per_dial_timeout": int(props.get("perDialTimeout", DEFAULT_PER_DIAL_TIMEOUT)),
    }
