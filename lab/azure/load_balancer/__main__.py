"""`python3 -m lab.azure.load_balancer`: balances as its file says, until SIGTERM.

All its state is in files, so it can be killed and started again at any time.
"""

import asyncio
import json
import logging
import resource
import signal
from pathlib import Path

from lab.azure.load_balancer import client_addresses, config
from lab.azure.load_balancer.balancer import Balancer

LOG = logging.getLogger(__name__)

RELOAD = 0.1
"""Seconds between checks of the file. inotify does not work on every kind of volume."""

EXPIRY = 5.0
"""Seconds between checks for idle flows."""

RETRY = 2.0
"""Seconds until a port that was in use is tried again."""


async def run(path: Path, states_path: Path, *, keeps_clients: bool) -> None:
    """Follows the file until SIGTERM or SIGINT; see client_addresses.py for ``keeps_clients``."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    claimed = keeps_clients and await client_addresses.claim()
    balancer = Balancer(states_path, keeps_clients=claimed)
    followers = [
        asyncio.create_task(_follow(balancer, path)),
        asyncio.create_task(_expire(balancer)),
    ]
    stopping = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([*followers, stopping], return_when=asyncio.FIRST_COMPLETED)
    balancer.stop()
    if claimed:
        await client_addresses.release()
    for task in done:
        task.result()  # a follower ends only with an error, which must end the process


async def _follow(balancer: Balancer, path: Path) -> None:
    seen: tuple[int, int] | None = None
    tried = 0.0
    loop = asyncio.get_running_loop()
    while True:
        now = _version(path)
        if now != seen or (balancer.has_failures() and loop.time() - tried > RETRY):
            seen, tried = now, loop.time()
            try:
                configuration = config.load(path)
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                LOG.error("%s can't be read, keeping what is running: %r", path, error)
            else:
                await balancer.apply(configuration)
        await asyncio.sleep(RELOAD)


async def _expire(balancer: Balancer) -> None:
    while True:
        await asyncio.sleep(EXPIRY)
        balancer.expire()


def _version(path: Path) -> tuple[int, int]:
    """Changes with every replacement of the file; all zeros while there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


def _raise_file_limit() -> None:
    """Each flow needs two descriptors, and the usual soft limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    _raise_file_limit()
    asyncio.run(run(config.PATH, config.STATES_PATH, keeps_clients=True))
