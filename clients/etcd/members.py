"""The members of the etcd cluster and their health, asked from the members themselves.

Each member is asked on its own address: what one member reports about another does not prove that
the other is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from clients.errors import ClusterError
from contract.ports import ETCD_CLIENT, ETCD_PEER

# A healthy answer needs a round through the quorum; a vanished address never answers.
_TIMEOUT = httpx.Timeout(6.0, connect=2.0)


class MembershipError(ClusterError):
    """etcd refused to change its members, or no member answered."""


@dataclass(kw_only=True, frozen=True)
class Member:
    """A voter of the etcd cluster. It has no name until it has started once."""

    id: str
    name: str
    address: str  # of its first peer URL
    is_healthy: bool = False

    @property
    def has_started(self) -> bool:
        return bool(self.name)

    def __str__(self) -> str:
        return f"{self.name or 'unstarted member'} ({self.address})"


@dataclass(kw_only=True, frozen=True)
class Members:
    """The members as a member inside the quorum lists them."""

    members: tuple[Member, ...]

    @property
    def healthy(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.is_healthy)

    @property
    def quorum(self) -> int:
        """How many votes a decision needs."""
        return len(self.members) // 2 + 1


def client_url(address: str) -> str:
    """Where a member serves clients."""
    return f"http://{address}:{ETCD_CLIENT}"


def peer_url(address: str) -> str:
    """Where a member serves its peers."""
    return f"http://{address}:{ETCD_PEER}"


class Membership:
    """etcd's member API, over the addresses at which members may live."""

    def __init__(self, *, transport: httpx.BaseTransport | None = None) -> None:
        # plain HTTP: loading certificates costs 30 ms and 1 MB
        self._client = httpx.Client(
            transport=transport, trust_env=False, verify=False, timeout=_TIMEOUT
        )

    def survey(self, addresses: Iterable[str]) -> Members | None:
        """The members and their health; None if no member at `addresses` sees a quorum."""
        for address in dict.fromkeys(addresses):
            if not self.is_healthy(address):
                continue
            listed = self.listed(address)
            if listed:
                return Members(
                    members=tuple(
                        Member(
                            id=member.id,
                            name=member.name,
                            address=member.address,
                            is_healthy=member.has_started
                            and (member.address == address or self.is_healthy(member.address)),
                        )
                        for member in listed
                    )
                )
        return None

    def is_healthy(self, address: str) -> bool:
        """Whether a member answers there and sees a quorum (its /health is a quorum read)."""
        try:
            answer = self._client.get(client_url(address) + "/health")
        except httpx.TransportError:
            return False
        return answer.is_success and answer.json().get("health") in ("true", True)

    def answers(self, address: str) -> bool:
        """Whether any etcd at all answers there, with or without a quorum."""
        try:
            self._client.get(client_url(address) + "/version")
        except httpx.TransportError:
            return False
        return True

    def add(self, through: str, address: str) -> Member:
        """Add a voter through the member at `through`. The new member counts for the quorum
        immediately, even before it has started."""
        answer = self._change("POST", through, "", {"peerURLs": [peer_url(address)]})
        if answer.status_code != 201:
            raise MembershipError(f"etcd refuses to add {address}: {answer.text.strip()[:200]}")
        return Member(id=answer.json()["id"], name="", address=address)

    def remove(self, through: str, member: Member) -> None:
        """Remove a voter permanently. It may be gone already."""
        answer = self._change("DELETE", through, f"/{member.id}", None)
        if answer.status_code not in (204, 404, 410):
            raise MembershipError(f"etcd refuses to remove {member}: {answer.text.strip()[:200]}")

    def _change(self, method: str, through: str, path: str, body: object) -> httpx.Response:
        url = f"{client_url(through)}/v2/members{path}"
        try:
            return self._client.request(method, url, json=body, timeout=16.0)
        except httpx.TransportError as error:
            raise MembershipError(f"etcd at {through} went away: {error}") from error

    def listed(self, address: str) -> tuple[Member, ...]:
        """The members as the one at `address` lists them, without their health; this needs no
        quorum. Empty if no member answers there."""
        try:
            answer = self._client.get(client_url(address) + "/v2/members")
        except httpx.TransportError:
            return ()
        if not answer.is_success:
            return ()
        return tuple(
            Member(
                id=raw["id"],
                name=raw.get("name", ""),
                address=urlsplit((raw.get("peerURLs") or [""])[0]).hostname or "",
            )
            for raw in answer.json()["members"]
        )
