"""Ports for servers of tests. Several processes of pytest run side by side and share none."""

import os
import random
import socket

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Which of the processes this one is, from 0."""
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

_UNUSED = list(range(10_000 + WORKER, 16_384, _WORKERS))
"""Below what Linux gives to connections, and routers to their datagrams (from 16384): nobody takes
one of these meanwhile."""

random.shuffle(_UNUSED)


def free_port() -> int:
    """A port that is free on every address, for TCP and UDP. None is given out twice."""
    while True:
        port = _UNUSED.pop()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            try:
                stream.bind(("0.0.0.0", port))
                datagrams.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
