"""Health probes: one loop for each probe and VM, with Azure's rules of up and down.

A VM is down until enough probes in a row succeed, and down again after as many failures in a row.
As on Azure, probes come from 168.63.129.16: a security group that does not allow the tag
AzureLoadBalancer makes every VM unhealthy.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lab.azure.host.platform_addresses import PLATFORM
from lab.azure.load_balancer.config import Backend, BalancingRule, Probe, Security
from lab.azure.load_balancer.selection import admits
from lab.azure.network.security_rules import Flow

LOG = logging.getLogger(__name__)

LONGEST_WAIT = 30.0
"""Azure ends a probe after its interval, and after 30 seconds at the latest."""

_STATUS_LINE_LIMIT = 4096


@dataclass(frozen=True, kw_only=True)
class Target:
    """What one loop probes. Rules that share a probe and a VM share the loop.

    It is hashed for every new flow, so it is small and does not contain security groups.
    """

    probe: Probe
    backend: Backend


@dataclass(frozen=True, kw_only=True)
class Health:
    """``reason`` is the failure of the last probe; ``since`` when the state last changed."""

    healthy: bool
    reason: str
    since: float


class ProbeFailed(Exception):
    """Why a probe failed."""


class Probes:
    """Runs the loops and keeps the states. ``changed`` is called after every change of state."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._states: dict[Target, Health] = {}
        self._security: dict[Target, Security] = {}
        self._loops: dict[Target, asyncio.Task[None]] = {}

    def watch(self, rules: Iterable[BalancingRule]) -> None:
        """Starts and stops loops so that exactly the VMs of these rules are probed."""
        self._security = {
            Target(probe=rule.probe, backend=backend): rule.security
            for rule in rules
            if rule.probe is not None
            for backend in rule.backends
        }
        for target in self._loops.keys() - self._security.keys():
            self._loops.pop(target).cancel()
            del self._states[target]
        for target in self._security.keys() - self._loops.keys():
            self._states[target] = Health(healthy=False, reason="not probed", since=time.time())
            self._loops[target] = asyncio.create_task(self._loop(target))

    def is_healthy(self, rule: BalancingRule, backend: Backend) -> bool:
        if rule.probe is None:
            return True
        state = self._states.get(Target(probe=rule.probe, backend=backend))
        return state is not None and state.healthy

    def states(self) -> dict[Target, Health]:
        return dict(self._states)

    def stop(self) -> None:
        for loop in self._loops.values():
            loop.cancel()

    async def _loop(self, target: Target) -> None:
        streak = 0
        while True:
            started = time.monotonic()
            failure = await self._failure(target)
            state = self._states[target]
            agrees = state.healthy == (failure is None)
            streak = 0 if agrees else streak + 1
            if streak >= target.probe.threshold:
                self._set_state(
                    target, Health(healthy=not failure, reason=failure or "", since=time.time())
                )
                streak = 0
            elif failure and failure != state.reason and not state.healthy:
                self._set_state(target, Health(healthy=False, reason=failure, since=state.since))
            await asyncio.sleep(max(0.0, target.probe.interval - (time.monotonic() - started)))

    def _set_state(self, target: Target, state: Health) -> None:
        self._states[target] = state
        text = "healthy" if state.healthy else f"unhealthy: {state.reason}"
        LOG.info("%s on %s: %s", _short(target.probe.id), _short(target.backend.name), text)
        self._changed()

    async def _failure(self, target: Target) -> str | None:
        """Why the VM fails this probe; None if it succeeds."""
        flow = Flow(
            protocol="Tcp",
            source=PLATFORM,
            source_port=0,
            destination=target.backend.address,
            destination_port=target.probe.port,
        )
        verdict = admits(self._security[target], flow)
        if not verdict.allowed:
            return f"probe denied by {verdict.rule}"
        try:
            async with asyncio.timeout(min(target.probe.interval, LONGEST_WAIT)):
                await _probe(target.probe, target.backend.address)
        except TimeoutError:
            return "no answer in time"
        except (OSError, ValueError, ProbeFailed) as error:
            # ValueError: the first line is too long.
            return str(error)
        return None


async def _probe(probe: Probe, address: str) -> None:
    """One probe: a TCP connection, or a GET that must be answered with 200."""
    context = _unverified() if probe.protocol == "Https" else None
    reader, writer = await asyncio.open_connection(
        address, probe.port, ssl=context, limit=_STATUS_LINE_LIMIT
    )
    try:
        if probe.protocol == "Tcp":
            return
        host = f"{address}:{probe.port}"
        writer.write(
            f"GET {probe.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Load Balancer Agent\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        status = (await reader.readline()).decode(errors="replace").split()
        if status[1:2] != ["200"]:
            raise ProbeFailed(f"answered {' '.join(status[1:]) or 'nothing'}")
    finally:
        writer.transport.abort()


def _short(id: str) -> str:
    """The last parts of an ARM id: ``fleet-lb/probes/router``."""
    return "/".join(id.split("/")[-3:])


def _unverified() -> ssl.SSLContext:
    """Azure's HTTPS probes do not verify the certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
