"""etcd's v2 keys API in memory, behind an httpx transport. Checked against the real etcd by
test_etcd_client.py, which runs the same tests on both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.unit.cluster.simulated_clock import SimulatedClock


@dataclass
class Entry:
    value: str | None  # None: a directory
    created: int
    modified: int
    expires: float | None = None


class Refused(Exception):
    def __init__(self, status: int, code: int, message: str, cause: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.cause = status, code, message, cause


class SimulatedEtcd:
    """The store. `transport` speaks HTTP; `put`, `value` and so on are for simulated writers."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.index = 1
        self.entries: dict[str, Entry] = {"": Entry(None, 0, 0)}
        self.faults: list[str] = []  # before, after: lose the next request then
        self.is_away = False  # no quorum: nothing is answered, nothing expires
        clock.listeners.append(self.expire)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    def expire(self) -> None:
        """By absolute time: what should have ended in an outage ends at once after it."""
        if self.is_away:
            return
        for key, entry in list(self.entries.items()):
            if entry.expires is not None and entry.expires <= self._clock.now():
                self.index += 1
                self.remove(key)

    def put(self, key: str, value: str, *, ttl: float | None = None) -> Entry:
        self.index += 1
        self._make_parents(key)
        expires = None if ttl is None else self._clock.now() + ttl
        entry = self.entries[key] = Entry(value, self.index, self.index, expires)
        return entry

    def refresh(self, key: str, ttl: float) -> None:
        self.index += 1
        entry = self.entries[key]
        entry.modified, entry.expires = self.index, self._clock.now() + ttl

    def value(self, key: str) -> str | None:
        entry = self.entries.get(key)
        return entry.value if entry else None

    def delete(self, key: str) -> None:
        if key in self.entries:
            self.index += 1
            self.remove(key)

    def remove(self, key: str) -> None:
        for other in [k for k in self.entries if k == key or k.startswith(key + "/")]:
            del self.entries[other]

    def children(self, key: str) -> Iterator[str]:
        for other in sorted(self.entries):
            parent, slash, _ = other.rpartition("/")
            if slash and parent == key:
                yield other

    def _make_parents(self, key: str) -> None:
        parts = key.split("/")[1:-1]
        for depth in range(1, len(parts) + 1):
            path = "/" + "/".join(parts[:depth])
            entry = self.entries.setdefault(path, Entry(None, self.index, self.index))
            if entry.value is not None:
                raise Refused(400, 104, "Not a directory", path)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before" or self.is_away:
            raise httpx.ReadError("simulated: lost before etcd saw it", request=request)
        response = self.answer(request)
        if fault == "after":
            raise httpx.ReadError("simulated: etcd's answer was lost", request=request)
        return response

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What etcd says when nothing goes wrong."""
        try:
            return self._answer(request)
        except Refused as error:
            return httpx.Response(
                error.status,
                json={
                    "errorCode": error.code,
                    "message": error.message,
                    "cause": error.cause,
                    "index": self.index,
                },
            )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        assert path.startswith("/v2/keys"), f"not simulated: {path}"
        key = path.removeprefix("/v2/keys").rstrip("/")
        form = {k: v[0] for k, v in parse_qs(request.content.decode()).items()}
        query = dict(request.url.params)
        if query.get("wait"):
            raise NotImplementedError("the simulated etcd has no watches")
        match request.method:
            case "GET":
                if key not in self.entries:
                    raise Refused(404, 100, "Key not found", key)
                return self._reply("get", key, recursive=query.get("recursive") == "true")
            case "PUT":
                return self._put(key, form)
            case "DELETE":
                return self._delete(key, query)
        raise NotImplementedError(request.method)

    def _put(self, key: str, form: dict[str, str]) -> httpx.Response:
        known = self.entries.get(key)
        if form.get("prevExist") == "false" and known is not None:
            raise Refused(412, 105, "Key already exists", key)
        if form.get("prevExist") == "true" and known is None:
            raise Refused(404, 100, "Key not found", key)
        self._compare(key, form)
        if form.get("dir") == "true":
            self.index += 1
            self._make_parents(key)
            expires = self._clock.now() + float(form["ttl"]) if "ttl" in form else None
            self.entries[key] = Entry(None, self.index, self.index, expires)
            return self._reply("set", key)
        if known is not None and known.value is None:
            raise Refused(403, 102, "Not a file", key)
        ttl = float(form["ttl"]) if "ttl" in form else None
        if form.get("refresh") == "true":
            assert ttl is not None
            self.refresh(key, ttl)
            return self._reply("update", key)
        created = known.created if known and ("prevValue" in form or "prevIndex" in form) else None
        entry = self.put(key, form["value"], ttl=ttl)
        if created is not None:
            entry.created = created
        return self._reply("set", key)

    def _delete(self, key: str, query: dict[str, str]) -> httpx.Response:
        if key not in self.entries:
            raise Refused(404, 100, "Key not found", key)
        self._compare(key, query)
        if self.entries[key].value is None and query.get("recursive") != "true":
            raise Refused(403, 102, "Not a file", key)
        self.index += 1
        created = self.entries[key].created
        self.remove(key)
        node = {"key": key, "createdIndex": created, "modifiedIndex": self.index}
        return self._response({"action": "delete", "node": node})

    def _compare(self, key: str, conditions: dict[str, str]) -> None:
        entry = self.entries.get(key)
        if "prevValue" in conditions or "prevIndex" in conditions:
            if entry is None:
                raise Refused(404, 100, "Key not found", key)
            if conditions.get("prevValue", entry.value) != entry.value:
                raise Refused(412, 101, "Compare failed", key)
            if int(conditions.get("prevIndex", entry.modified)) != entry.modified:
                raise Refused(412, 101, "Compare failed", key)

    def _reply(self, action: str, key: str, *, recursive: bool = False) -> httpx.Response:
        return self._response({"action": action, "node": self._node(key, recursive, depth=0)})

    def _response(self, body: dict[str, Any]) -> httpx.Response:
        return httpx.Response(
            200, content=json.dumps(body), headers={"X-Etcd-Index": str(self.index)}
        )

    def _node(self, key: str, recursive: bool, depth: int) -> dict[str, Any]:
        entry = self.entries[key]
        node: dict[str, Any] = {
            "key": key or "/",
            "createdIndex": entry.created,
            "modifiedIndex": entry.modified,
        }
        if entry.value is not None:
            node["value"] = entry.value
        else:
            node["dir"] = True
            if depth == 0 or recursive:
                nodes = [
                    self._node(child, recursive, depth + 1)
                    for child in self.children(key)
                    if not child.rpartition("/")[2].startswith("_")
                ]
                if nodes:
                    node["nodes"] = nodes
        if entry.expires is not None:
            node["ttl"] = max(1, round(entry.expires - self._clock.now()))
        return node
