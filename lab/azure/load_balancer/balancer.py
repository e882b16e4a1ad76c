"""Makes listeners and probes match the configuration, and reports their states.

A listener is identified by address, port and protocol. While these stay, a change is applied in
place and the listener keeps its flows; other listeners are not affected.
"""

import asyncio
import json
import logging
import time
from pathlib import Path

from lab.azure.load_balancer.config import BalancingRule, Configuration
from lab.azure.load_balancer.probes import Probes
from lab.azure.load_balancer.tcp import TcpListener
from lab.azure.load_balancer.udp import UdpListener

LOG = logging.getLogger(__name__)

Key = tuple[str, int, str]
Listener = TcpListener | UdpListener


class Balancer:
    """Call `apply` at any time with the next configuration; `states_path` is the report.

    The report is JSON: ``probes`` maps a probe's id to its VMs' names to ``{healthy, reason,
    since}``; ``listeners`` maps ``address:port/protocol`` to null or to the error of opening it.
    """

    def __init__(self, states_path: Path, *, keeps_clients: bool = False) -> None:
        self._states_path = states_path
        self._keeps_clients = keeps_clients
        self._probes = Probes(self._report)
        self._listeners: dict[Key, Listener] = {}
        self._failures: dict[Key, str] = {}

    async def apply(self, configuration: Configuration) -> None:
        wanted: dict[Key, BalancingRule] = {
            (frontend.address, rule.frontend_port, rule.protocol): rule
            for frontend in configuration.frontends
            for rule in frontend.rules
        }
        self._probes.watch(wanted.values())
        for key in self._listeners.keys() - wanted.keys():
            self._listeners.pop(key).close()
        self._failures = {key: text for key, text in self._failures.items() if key in wanted}
        for key, rule in wanted.items():
            if key in self._listeners:
                self._listeners[key].update(rule)
            else:
                await self._open(key, rule)
        self._report()

    def expire(self) -> None:
        """Ends idle flows. To be called every few seconds."""
        now = asyncio.get_running_loop().time()
        for listener in self._listeners.values():
            listener.expire(now)

    def has_failures(self) -> bool:
        """Whether some listener could not be opened; another `apply` tries again."""
        return bool(self._failures)

    def stop(self) -> None:
        self._probes.stop()
        for listener in self._listeners.values():
            listener.close()

    async def _open(self, key: Key, rule: BalancingRule) -> None:
        kind = TcpListener if rule.protocol == "Tcp" else UdpListener
        listener: Listener = kind(
            key[0], rule, self._probes.is_healthy, keeps_clients=self._keeps_clients
        )
        try:
            await listener.open()
        except OSError as error:
            if self._failures.get(key) != str(error):
                LOG.error("cannot listen on %s:%s/%s: %s", *key, error)
            self._failures[key] = str(error)
        else:
            self._failures.pop(key, None)
            self._listeners[key] = listener

    def _report(self) -> None:
        probes: dict[str, dict[str, object]] = {}
        for target, health in self._probes.states().items():
            state = {
                "healthy": health.healthy,
                "reason": health.reason,
                "since": health.since,
            }
            probes.setdefault(target.probe.id, {})[target.backend.name] = state
        listeners: dict[str, str | None] = {
            f"{address}:{port}/{protocol}": self._failures.get((address, port, protocol))
            for address, port, protocol in [*self._listeners, *self._failures]
        }
        report = {"probes": probes, "listeners": listeners, "written": time.time()}
        # Replaced atomically but not synced: traffic would wait for the disk, and after a crash
        # probing starts again.
        scratch = self._states_path.with_suffix(".new")
        scratch.write_text(json.dumps(report, indent=1))
        scratch.replace(self._states_path)
