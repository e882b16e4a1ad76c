"""One service in the output of `status`: its customer, addresses and state. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clients.printable import printable_line
from clients.routers import left_out
from cluster.rollout.diagnosis import why_not_ready
from cluster.rollout.observed import Instance, ObservedService
from contract.codec import Malformed, decode
from contract.keys import service_key
from contract.ledger import LedgerEntry
from contract.route import Route


def service_status(
    name: str, view: ObservedService, *, is_locked: bool, is_unfinished: bool
) -> dict[str, Any]:
    """What `status` prints of a service.

    `is_locked`: a rollout works on it. `is_unfinished`: a change has begun and not ended.
    """
    is_interrupted = is_unfinished and not is_locked
    current = view.record.current
    entry = view.record.ledger.get(current) if current else None
    route, problem = _route(view)
    ready = [instance for instance in view.instances.values() if instance.is_ready]
    return {
        "name": name,
        "customer": route.customer,
        "reached": list(_reached(route)),
        "sticky": route.sticky,
        "state": _state(view, entry, is_locked=is_locked, is_interrupted=is_interrupted),
        "ready": len(ready),
        "wanted": entry.instances if entry else None,
        "release": current,
        "image": entry.image if entry else None,
        "trouble": [*problem, *_trouble(name, view, entry, is_interrupted=is_interrupted)],
        "instances": [_instance(view, instance) for instance in view.present()],
        "releases": sorted(
            (
                {"release": e.release, "image": e.image, "outcome": e.outcome, "at": e.finished}
                for e in view.record.ledger.values()
            ),
            key=lambda entry: entry["at"],
        ),
    }


def _route(view: ObservedService) -> tuple[Route, list[str]]:
    """The route and its problems."""
    text = view.record.route
    if text is None:
        return Route(), []
    try:
        return decode(Route, text), []
    except Malformed as error:
        return Route(), [f"its route can't be used: {error}"]


def _reached(route: Route) -> Iterator[str]:
    """Addresses as clients write them; an asterisk for all hosts that no other service names."""
    if route.http:
        for host in route.hosts or ("*",):
            yield f"{'https' if route.https_redirect else 'http'}://{host}"
    yield from (f"tcp:{one.port}" for one in route.tcp)
    yield from (f"udp:{one.port}" for one in route.udp)


def _state(
    view: ObservedService, entry: LedgerEntry | None, *, is_locked: bool, is_interrupted: bool
) -> str:
    if is_locked:
        return "rolling out"
    if is_interrupted:
        return "interrupted"
    if entry is None:
        return "failed" if view.record.ledger else "unknown"
    ready = sum(i.is_ready for i in view.instances.values() if i.id.release == entry.release)
    if ready < entry.instances:
        return "degraded" if ready else "down"
    return "serving"


def _trouble(
    name: str, view: ObservedService, entry: LedgerEntry | None, *, is_interrupted: bool
) -> Iterator[str]:
    """What an operator should look at, a line each."""
    latest = max(view.record.ledger.values(), key=lambda entry: entry.started, default=None)
    if is_interrupted:
        yield "a change was not finished: run `pulumi up` again, or it is undone within two minutes"
    elif latest is not None and latest.outcome.startswith("failed") and latest != entry:
        yield f"release {latest.release} ({latest.image}) {_first_line(latest.outcome)}"
    for instance in view.present():
        if instance.is_launched and not instance.is_ready:
            yield f"{instance.id}: {_first_line(why_not_ready(view, instance.id))}"
    yield from left_out(f"{service_key(name)}/", view.routers)


def _first_line(text: str) -> str:
    return printable_line(text.partition("\n")[0])


def _instance(view: ObservedService, instance: Instance) -> dict[str, Any]:
    state = instance.app_states[0] if instance.app_states else None
    return {
        "n": instance.id.n,
        "release": instance.id.release,
        "machine": view.node(instance.machine_id) if instance.machine_id else None,
        "state": f"{state.active} ({state.sub})" if state else "not loaded",
        "address": instance.announced.address if instance.announced else None,
        "announced": instance.announced is not None,
        "ready": instance.is_ready,
    }
