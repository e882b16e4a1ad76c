"""`python3 -m router`: the entry point of the router's container."""

from __future__ import annotations

import logging
import os
import signal
import sys

from clients.azure.key_vault import Vault
from clients.azure.managed_identity import ManagedIdentity
from clients.clock import SystemClock
from clients.etcd.access import Access, Members
from router.agent import Agent
from router.heartbeat import Heartbeat
from router.nginx.master import Nginx, ask_http, ask_stream, quit_all
from router.settings import Settings, SettingsError, from_environment


def main() -> int:
    """Serve until SIGTERM, drain, quit."""
    logging.basicConfig(level=logging.INFO, format="router: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    serve(settings)
    return 0


def serve(settings: Settings) -> None:
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    settings.ready_file.unlink(missing_ok=True)
    members = Members(settings.etcd, own_address=settings.node_ip)
    heartbeat = Heartbeat(
        Access(members),
        machine_id=settings.machine_id,
        node=settings.node,
        node_life=settings.node_life,
    )
    sites = Nginx(
        "http",
        run_dir=settings.run_dir,
        ask=ask_http(settings.health_port),
        retiring_memory=settings.retiring_memory * 1e6,
    )
    streams = Nginx(
        "stream",
        run_dir=settings.run_dir,
        ask=ask_stream(settings.run_dir / "stream.sock"),
        retiring_memory=settings.retiring_memory * 1e6,
    )
    identity = ManagedIdentity(settings.identity, SystemClock(), metadata=settings.metadata)
    agent = Agent(
        settings,
        members=members,
        sites=sites,
        streams=streams,
        heartbeat=heartbeat,
        fetch=Vault(settings.vault, identity).fetch,
    )
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: agent.stop())
    heartbeat.start()
    try:
        agent.run()
    finally:
        heartbeat.withdraw()
        quit_all((sites, streams), settings.quit_timeout)


if __name__ == "__main__":
    sys.exit(main())
