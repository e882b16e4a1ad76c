"""The answers of etcd's v2 API as types: keys, changes and errors.

Import them from `clients.etcd`, which makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx


class EtcdError(Exception):
    """etcd answered with an error; `code` is its errorCode, `index` the store's index then."""

    def __init__(self, message: str, *, code: int = 0, index: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.index = index


class EtcdUnavailable(EtcdError):
    """No endpoint answered, or there is no leader. A write may or may not have happened."""


class KeyNotFound(EtcdError):
    """100: the key does not exist."""


class CompareFailed(EtcdError):
    """101: the value or index is not the expected one."""


class KeyExists(EtcdError):
    """105: the key exists already. 102: a directory stands where a value was written."""


class IndexCleared(EtcdError):
    """401: the watch starts before the last 1,000 events. Read again, then watch from there."""


# error codes: https://etcd.io/docs/v2.3/errorcode/
_ERRORS: Mapping[int, type[EtcdError]] = {
    100: KeyNotFound,
    101: CompareFailed,
    102: KeyExists,
    105: KeyExists,
    300: EtcdUnavailable,
    301: EtcdUnavailable,
    400: IndexCleared,  # "watcher is cleared due to etcd recovery": read again, too
    401: IndexCleared,
}


@dataclass(kw_only=True, frozen=True)
class Node:
    """A key with its value, or a directory with its children.

    A refresh of the TTL raises `modified_index` without waking any watcher, so "has a reader
    seen this value" must be asked with `created_index`: every write of a value renews that.
    """

    key: str
    value: str = ""
    is_directory: bool = False
    created_index: int = 0
    modified_index: int = 0
    ttl: int | None = None
    nodes: tuple[Node, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rsplit("/", 1)[-1]

    def leaves(self) -> Iterable[Node]:
        """Every key below this one that holds a value (itself, if it is no directory)."""
        if not self.is_directory:
            yield self
        for child in self.nodes:
            yield from child.leaves()


@dataclass(kw_only=True, frozen=True)
class Answer:
    """The action of a request, its key, and the store's index (`X-Etcd-Index`) at that time."""

    action: str
    node: Node
    index: int


def raise_for(response: httpx.Response) -> None:
    if response.is_success:
        return
    try:
        body = response.json()
    except ValueError:
        body = {}
    code = body.get("errorCode", 0) if isinstance(body, dict) else 0
    if not code:
        # 5xx without a code: no leader, or a proxy in between; else /v2/members' own errors
        kind = EtcdUnavailable if response.status_code >= 500 else EtcdError
        raise kind(
            f"{response.request.method} {response.request.url.path}: "
            f"{response.status_code} {response.text.strip()[:200]}",
            code=response.status_code,
        )
    kind = _ERRORS.get(code, EtcdError)
    message = f"{body.get('message', '')} ({body.get('cause', '')})"
    raise kind(message, code=code, index=int(body.get("index", 0)))


def parse(response: httpx.Response) -> Answer:
    body = response.json()
    return Answer(
        action=body["action"],
        node=_node(body["node"]),
        index=int(response.headers.get("X-Etcd-Index", 0)),
    )


def _node(raw: Mapping[str, Any]) -> Node:
    return Node(
        key=raw.get("key", "/"),
        value=raw.get("value", ""),
        is_directory=bool(raw.get("dir", False)),
        created_index=int(raw.get("createdIndex", 0)),
        modified_index=int(raw.get("modifiedIndex", 0)),
        ttl=raw.get("ttl"),
        nodes=tuple(_node(child) for child in raw.get("nodes", ())),
    )
