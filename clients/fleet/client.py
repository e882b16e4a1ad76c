"""A client of fleet's HTTP API on its unix socket: units, their states, machines.

fleet answers 500 without a reason, or 503, while it has trouble with etcd, whether or not the
request took effect. All its writes are safe to repeat, so they are repeated, with back-off
(coreos/fleet#1250, #1211). Never call fleetctl: its exit codes say little.

fleet keeps the text of every unit that ever existed, and reads all of them in every pass. So this
client also deletes the texts of destroyed units from etcd.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx

from clients.clock import Clock, SystemClock
from clients.errors import ClusterError
from clients.etcd import Etcd, KeyNotFound
from contract.rollout_mark import Option

SOCKET = "/var/run/fleet.sock"
# coreos/fleet v1.0.0: registry/job.go (<name>/object names the text by its hash), registry/unit.go
_JOBS = "/_coreos.com/fleet/job"
_TEXTS = "/_coreos.com/fleet/unit"
_BACK_OFF = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class DesiredState(StrEnum):
    """What fleet should do with a unit. `launched` does not mean that systemd runs it."""

    INACTIVE = "inactive"  # in fleet's store only
    LOADED = "loaded"  # its file is on a machine, stopped
    LAUNCHED = "launched"  # started once; systemd keeps it running


# To delete a unit, fleet disables it in systemd and then resets it. That fails if systemd has
# unloaded the disabled unit by then, and a failed step ends fleet's whole pass: everything else on
# the node waits for the next pass, 5 s later. A unit that an active target wants stays loaded.
# https://github.com/coreos/fleet/blob/v1.0.0/systemd/manager.go (removeUnit)
_KEPT_LOADED = Option(section="Install", name="WantedBy", value="fleet-units.target")


@dataclass(kw_only=True, frozen=True)
class Unit:
    """A unit in fleet's store. A global unit has no current state, and no single machine."""

    name: str
    desired: DesiredState
    current: DesiredState = DesiredState.INACTIVE
    machine_id: str = ""
    content: Sequence[Mapping[str, str]] = field(default=(), repr=False, compare=False)

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """Its lines, parsed on demand: most of the hundreds of units belong to other services."""
        lines = (
            Option(section=line["section"], name=line["name"], value=line["value"])
            for line in self.content
        )
        return tuple(line for line in lines if line != _KEPT_LOADED)


@dataclass(kw_only=True, frozen=True)
class UnitState:
    """The state of a unit in systemd on one node."""

    name: str
    machine_id: str
    load: str
    active: str
    sub: str

    @property
    def is_running(self) -> bool:
        return self.load == "loaded" and self.active == "active"

    @property
    def is_failed(self) -> bool:
        return self.active == "failed" or self.load in ("error", "not-found", "bad-setting")

    @property
    def is_dead(self) -> bool:
        return self.active in ("inactive", "failed")


@dataclass(kw_only=True, frozen=True)
class Machine:
    """A machine with a heartbeat in fleet."""

    id: str
    primary_ip: str
    metadata: Mapping[str, str]


class FleetError(ClusterError):
    """fleet refused a request: the request is wrong."""


class FleetUnavailable(ClusterError):
    """fleet has not answered, or answered with errors, for too long."""


class Fleet:
    """fleet's API as Python values. A call may take up to 16 s while fleet has trouble."""

    def __init__(
        self,
        etcd: Etcd,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`etcd` is where fleet keeps its store."""
        self._etcd = etcd
        self._clock = clock or SystemClock()
        self._client = httpx.Client(
            base_url="http://fleet/fleet/v1",
            transport=transport or httpx.HTTPTransport(uds=SOCKET),
            timeout=15.0,
        )

    def machines(self) -> tuple[Machine, ...]:
        """The machines with a heartbeat, ordered by address."""
        machines = [
            Machine(
                id=raw["id"],
                primary_ip=raw.get("primaryIP", ""),
                metadata=raw.get("metadata") or {},
            )
            for raw in self._pages("/machines", "machines")
        ]
        return tuple(sorted(machines, key=lambda machine: machine.primary_ip))

    def units(self) -> dict[str, Unit]:
        """All units by name."""
        return {raw["name"]: _unit(raw) for raw in self._pages("/units", "units")}

    def states(self) -> tuple[UnitState, ...]:
        """The state of every unit on every machine that has it."""
        return tuple(
            UnitState(
                name=raw["name"],
                machine_id=raw.get("machineID", ""),
                load=raw.get("systemdLoadState", ""),
                active=raw.get("systemdActiveState", ""),
                sub=raw.get("systemdSubState", ""),
            )
            for raw in self._pages("/state", "states")
        )

    def unit(self, name: str) -> Unit | None:
        """One unit, or None."""
        answer = self._request("GET", _path(name))
        return None if answer.status_code == 404 else _unit(answer.json())

    def create(self, name: str, options: Sequence[Option], desired: DesiredState) -> None:
        """Add a unit. One of that name with other content is refused, never replaced:
        fleet would stop and start it in one breath (coreos/fleet#1000)."""
        known = self.unit(name)
        if known is not None and known.options != tuple(options):
            raise FleetError(
                f"unit {name} exists with other content. A unit's name says what is in it, so this "
                "one was changed by hand: stop and destroy it with fleetctl, then run this again"
            )
        if known is not None:
            self.set_desired(name, desired)
            return
        body = {
            "desiredState": desired,
            "options": [
                {"section": option.section, "name": option.name, "value": option.value}
                for option in (*options, _KEPT_LOADED)
            ],
        }
        self._request("PUT", _path(name), body)

    def set_desired(self, name: str, desired: DesiredState) -> None:
        """Change what fleet should do with an existing unit. Repeating it wakes fleet's loops."""
        self._request("PUT", _path(name), {"desiredState": desired})

    def destroy(self, names: Collection[str]) -> None:
        """Delete units from the store, with texts that no other unit has (all instances of a
        release share one). Only for units that are dead. They may be gone already.

        Hold the lock of the rollout that makes such units: the same text may not return meanwhile.
        """
        if not names:
            return
        texts = self._texts()
        for name in names:
            self._request("DELETE", _path(name))
        kept = {text for name, text in texts.items() if name not in names}
        for text in sorted({texts[name] for name in names if name in texts} - kept):
            with suppress(KeyNotFound):
                self._etcd.delete(f"{_TEXTS}/{text}")

    def _texts(self) -> dict[str, str]:
        """The hash of each unit's text, by the unit's name."""
        found = self._etcd.find(_JOBS, recursive=True)
        jobs = [
            json.loads(leaf.value)
            for leaf in (found.node.leaves() if found else ())
            if leaf.name == "object"
        ]
        return {job["Name"]: bytes(job["UnitHash"]).hex() for job in jobs}

    def _pages(self, path: str, field_name: str) -> Iterator[Mapping[str, Any]]:
        token = ""
        while True:
            answer = self._request(
                "GET", path + (f"?nextPageToken={quote(token)}" if token else "")
            )
            page = answer.json()
            yield from page.get(field_name) or ()
            token = page.get("nextPageToken") or ""
            if not token:
                return

    def _request(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> httpx.Response:
        problem = ""
        for pause in (*_BACK_OFF, None):
            try:
                answer = self._client.request(method, path, json=body)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            else:
                if answer.is_success or (answer.status_code == 404 and method != "PUT"):
                    return answer
                problem = f"{answer.status_code} {_message(answer)}"
                if answer.status_code < 500:
                    raise FleetError(f"fleet refused {method} {path}: {problem}")
            if pause is not None:
                self._clock.sleep(pause)
        raise FleetUnavailable(
            f"fleet does not answer {method} {path}: {problem}. "
            "Look at `systemctl status fleet etcd` on this node, then run this again"
        )


def _path(name: str) -> str:
    return "/units/" + quote(name, safe="@:")


def _unit(raw: Mapping[str, Any]) -> Unit:
    return Unit(
        name=raw["name"],
        desired=DesiredState(raw.get("desiredState") or "inactive"),
        current=DesiredState(raw.get("currentState") or "inactive"),
        machine_id=raw.get("machineID") or "",
        content=raw.get("options") or (),
    )


def _message(answer: httpx.Response) -> str:
    """fleet's errors are {"error": {"code", "message"}}."""
    try:
        body = answer.json()
    except ValueError:
        return answer.text.strip()[:200]
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("message", "")) if isinstance(error, dict) else ""
