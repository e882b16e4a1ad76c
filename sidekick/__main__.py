"""`python3 -m sidekick`: the announcer of a node, in its container."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from clients.etcd import LOCAL_ENDPOINT, Etcd, EtcdError
from clients.etcd.access import Access, Members
from contract.registration import FOLDER, SOCKET
from sidekick.announcer import Announcer
from sidekick.control import Control
from sidekick.docker import Docker
from sidekick.journal import Journal
from sidekick.node import Node

_FIRST_STOPS = 1.0
"""Seconds after SIGTERM in which sidekicks may still stop: a node stops all its units at once."""
_LEARN_EVERY = 60.0
"""Seconds: nodes are replaced, and with them etcd's members."""

log = logging.getLogger("sidekick")


def main() -> int:
    """Announce until SIGTERM, and until drains have ended; docker ends those that take too long.
    Nothing else is withdrawn: another announcer follows, and repeats a drain that was cut short.
    """
    logging.basicConfig(level=logging.INFO, format="announcer: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stop.set())
    try:
        serve(os.environ, stop)
    except KeyError as error:
        print(f"error: {error} is not set; start with --env-file /run/node.env", file=sys.stderr)
        return 2
    return 0


def serve(environment: Mapping[str, str], stop: threading.Event) -> None:
    """Work as the environment says until `stop`. Raises KeyError for a variable that is missing."""
    host = Path(environment.get("ANNOUNCER_HOST", "/host"))
    path = Path(environment.get("ANNOUNCER_SOCKET", SOCKET))
    folder = Path(environment.get("ANNOUNCER_FOLDER", FOLDER))
    journalctl = environment.get("ANNOUNCER_JOURNALCTL", f"chroot {host} /usr/bin/journalctl")
    members = Members(
        environment.get("ANNOUNCER_ETCD", LOCAL_ENDPOINT), own_address=environment["NODE_IP"]
    )
    access = Access(members)
    node = Node(
        name=environment["NODE_NAME"],
        ip=environment["NODE_IP"],
        life=host / "run/node-life",
        etcd=access,
        docker=Docker(host / "run/docker.sock"),
        journal=Journal(host / "run/systemd/journal/socket", shlex.split(journalctl)),
        routers_timeout=float(environment.get("ANNOUNCER_ROUTERS_TIMEOUT", "10")),
    )
    announcer = Announcer(folder, node)
    announcer.restore()
    control = Control(path, announcer)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    while not stop.is_set():
        _learn(members, access)
        stop.wait(_LEARN_EVERY)
    time.sleep(_FIRST_STOPS)
    control.shutdown()
    control.server_close()  # when every sidekick that stops has its answer


def _learn(members: Members, access: Access) -> None:
    """A healthy instance must not lose its traffic because etcd is away on its own node."""

    def ask(etcd: Etcd) -> None:
        members.learn(etcd)

    try:
        access.ask(ask)
    except EtcdError as error:
        log.warning("could not learn etcd's members: %s", error)


if __name__ == "__main__":
    sys.exit(main())
