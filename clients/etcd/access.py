"""etcd for programs on nodes: the node's own member first, another member while that does not
answer.

A router that can't read etcd keeps sending requests to instances that a rollout has stopped, and
an announcer that can't write to it loses its keys. So one etcd member that is down must cost
neither of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from clients.etcd import Etcd, EtcdUnavailable

# Shorter than the client's own: there are other members to ask, and a drain must not wait.
_TIMEOUT = 6.0

T = TypeVar("T")


class Members:
    """Where the members of etcd serve clients: one list for all threads of the agent."""

    def __init__(self, local: str, *, own_address: str | None) -> None:
        self._own_addresses = {"127.0.0.1", "localhost", own_address}
        self.urls: tuple[str, ...] = (local,)

    def learn(self, etcd: Etcd) -> None:
        """Read the member list. Raises EtcdError."""
        listed = etcd.request("GET", "/v2/members").json()["members"]
        advertised = (url for member in listed for url in member["clientURLs"])
        others = [url for url in advertised if urlsplit(url).hostname not in self._own_addresses]
        self.urls = (self.urls[0], *others)


class Access:
    """The etcd clients of one thread."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._clients: dict[str, Etcd] = {}
        self.url = members.urls[0]  # the member that answered last

    def prefer_own(self) -> None:
        """Ask the node's own member first again."""
        self.url = self._members.urls[0]

    def ask(self, request: Callable[[Etcd], T]) -> T:
        """The answer of the first member that has one. Raises EtcdError.

        Only for requests that may be repeated: a member may have failed after it did its work.
        """
        problems = []
        for url in dict.fromkeys((self.url, *self._members.urls)):
            try:
                answer = request(self._client(url))
            except EtcdUnavailable as error:
                problems.append(str(error))
            else:
                self.url = url
                return answer
        raise EtcdUnavailable("; ".join(problems))

    def _client(self, url: str) -> Etcd:
        if url not in self._clients:
            self._clients[url] = Etcd([url], timeout=_TIMEOUT)
        return self._clients[url]
