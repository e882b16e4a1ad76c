"""A client of etcd's v2 keys API: the store that fleet, the routers and the rollouts share.

Reads are linearizable (`quorum=true`): a stale read would let a rollout stop an instance too early.
A conditional write whose outcome is unknown is never repeated: the caller must read and decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

import httpx

from clients.clock import Clock, SystemClock
from clients.etcd.answer import (
    Answer,
    EtcdUnavailable,
    KeyExists,
    KeyNotFound,
    parse,
    raise_for,
)
from clients.waiting import retry
from contract.ports import ETCD_CLIENT

LOCAL_ENDPOINT = f"http://127.0.0.1:{ETCD_CLIENT}"
# etcd answers a request after at most 5 s + 2 x its election timeout (5 s on our nodes).
REQUEST_TIMEOUT = 16.0
_PAUSE = 0.5


class Etcd:
    """A client for several endpoints. It first asks the endpoint that answered last."""

    def __init__(
        self,
        endpoints: Sequence[str] = (LOCAL_ENDPOINT,),
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: float = REQUEST_TIMEOUT,
        patience: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        """While no endpoint answers or no leader is elected, requests that are safe to repeat are
        repeated for `patience` seconds."""
        if not endpoints:
            raise ValueError("etcd needs at least one endpoint")
        self._endpoints = [endpoint.rstrip("/") for endpoint in endpoints]
        self._patience = patience
        self._clock = clock or SystemClock()
        self._client = httpx.Client(
            transport=transport,
            trust_env=False,  # the cluster's traffic must not go through a proxy
            verify=False,  # plain HTTP: loading certificates costs 30 ms and 1 MB
            timeout=httpx.Timeout(timeout, connect=2.0),
        )

    def __enter__(self) -> Etcd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, key: str, *, recursive: bool = False) -> Answer:
        """Read a key or directory, children sorted. Raises KeyNotFound."""
        query = {"quorum": "true", "sorted": "true"}
        if recursive:
            query["recursive"] = "true"
        return self._keys("GET", key, query=query)

    def find(self, key: str, *, recursive: bool = False) -> Answer | None:
        """Like `get`, but None for a missing key."""
        try:
            return self.get(key, recursive=recursive)
        except KeyNotFound:
            return None

    def set(
        self,
        key: str,
        value: str,
        *,
        ttl: int | None = None,
        prev_value: str | None = None,
        prev_index: int | None = None,
        prev_exist: bool | None = None,
    ) -> Answer:
        """Write a value, wake the watchers. With a `prev_…` only if it still holds.

        `prev_value` may not be empty (etcd reads an empty one as "not given").
        Raises CompareFailed, KeyExists (prev_exist=False), KeyNotFound (prev_exist=True).
        """
        form = {"value": value} | _conditions(prev_value, prev_index, prev_exist)
        if ttl is not None:
            form["ttl"] = str(ttl)
        return self._keys("PUT", key, form=form)

    def create(self, key: str, value: str, *, ttl: int | None = None) -> Answer:
        """Write a value only if the key does not exist. Raises KeyExists."""
        return self.set(key, value, ttl=ttl, prev_exist=False)

    def refresh(self, key: str, ttl: int, *, prev_value: str | None = None) -> Answer:
        """Renew a key's TTL without waking watchers. Raises KeyNotFound, CompareFailed."""
        form = {"ttl": str(ttl), "refresh": "true"} | _conditions(prev_value, None, True)
        return self._keys("PUT", key, form=form)

    def make_directory(self, key: str, *, ttl: int | None = None) -> None:
        """Make a directory, if there is none. One with a TTL expires with everything in it, and
        keeps its TTL (etcd 3.5 refuses to change that)."""
        form = {"dir": "true", "prevExist": "false"}
        if ttl is not None:
            form["ttl"] = str(ttl)
        try:
            self._keys("PUT", key, form=form, repeat=True)
        except KeyExists:
            return

    def delete(
        self,
        key: str,
        *,
        recursive: bool = False,
        prev_value: str | None = None,
        prev_index: int | None = None,
    ) -> Answer:
        """Delete a key, or a directory with all below it. Raises KeyNotFound, CompareFailed."""
        query = _conditions(prev_value, prev_index, None)
        if recursive:
            query["recursive"] = "true"
        return self._keys("DELETE", key, query=query)

    def watch(
        self, key: str, *, wait_index: int, recursive: bool = False, timeout: float
    ) -> Answer | None:
        """The first change at or after `wait_index`, or None if none came within `timeout`.

        To miss nothing: read, watch from `answer.index + 1`, then from the change's
        `node.modified_index + 1`; on IndexCleared read again.
        """
        query = {"wait": "true", "waitIndex": str(wait_index)}
        if recursive:
            query["recursive"] = "true"
        wait = httpx.Timeout(timeout, connect=2.0)
        try:
            answer = self.request("GET", _path(key), query=query, timeout=wait, failover=False)
        except _TimedOut:
            return None
        if not answer.content:
            return None  # the server ended a long poll (it does so on shutdown)
        return parse(answer)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: object = None,
        timeout: httpx.Timeout | None = None,
        failover: bool = True,
    ) -> httpx.Response:
        """One request to the first endpoint that takes it; errors of the keys API are raised.

        Another endpoint is tried when none took the request yet, and for reads.
        """
        problems = []
        for endpoint in list(self._endpoints):
            try:
                response = self._client.request(
                    method,
                    endpoint + path,
                    params=query,
                    data=form,
                    json=json,
                    timeout=timeout or httpx.USE_CLIENT_DEFAULT,
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                problems.append(f"{endpoint}: {_text(error)}")
            except httpx.ReadTimeout as error:
                if not failover:
                    raise _TimedOut(f"{endpoint}: no answer yet") from error
                problems.append(f"{endpoint}: {_text(error)}")
                if method != "GET":
                    break
            except httpx.TransportError as error:
                problems.append(f"{endpoint}: {_text(error)}")
                if method != "GET":
                    break
            else:
                self._prefer(endpoint)
                raise_for(response)
                return response
        raise EtcdUnavailable("etcd does not answer: " + "; ".join(problems))

    def _prefer(self, endpoint: str) -> None:
        if self._endpoints[0] != endpoint:
            self._endpoints.remove(endpoint)
            self._endpoints.insert(0, endpoint)

    def _keys(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        repeat: bool | None = None,
    ) -> Answer:
        if repeat is None:
            repeat = not any(name.startswith("prev") for name in (*(query or ()), *(form or ())))
        return retry(
            lambda: parse(self.request(method, _path(key), query=query, form=form)),
            on=EtcdUnavailable,
            patience=self._patience if repeat else 0.0,
            clock=self._clock,
            pause=_PAUSE,
        )


class _TimedOut(EtcdUnavailable):
    """A long poll ended without an event."""


def _path(key: str) -> str:
    return "/v2/keys/" + key.strip("/")


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _conditions(
    prev_value: str | None, prev_index: int | None, prev_exist: bool | None
) -> dict[str, str]:
    conditions = {}
    if prev_value is not None:
        if not prev_value:
            raise ValueError("etcd can't compare with an empty value")
        conditions["prevValue"] = prev_value
    if prev_index is not None:
        conditions["prevIndex"] = str(prev_index)
    if prev_exist is not None:
        conditions["prevExist"] = "true" if prev_exist else "false"
    return conditions
