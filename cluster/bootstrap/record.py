"""The record of the cluster's members, kept as the blob `members.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clients.azure.blob import Blob, BlobUnavailable
from clients.clock import Clock
from clients.errors import ClusterError
from clients.waiting import retry

_VERSION = 1
_PATIENCE = 120.0
_PAUSE = 2.0


class RecordError(ClusterError):
    """The blob holds something that this program did not write."""


@dataclass(kw_only=True, frozen=True)
class Record:
    """The members that the nodes agreed on.

    While `formed` is false, `members` is the list of first members and etcd holds nothing of
    value: `fleet-cluster wait` sets it before the first unit is submitted. After that, `members`
    only says where to find etcd; etcd's own list decides.
    """

    cluster: str
    token: str
    size: int
    formed: bool = False
    members: Mapping[str, str]  # name → address

    @property
    def is_full(self) -> bool:
        """All first members have registered: the list is frozen."""
        return len(self.members) >= self.size

    def with_member(self, name: str, address: str) -> Record:
        return replace(self, members={**self.members, name: address})

    def to_json(self) -> str:
        return json.dumps(
            {
                "version": _VERSION,
                "cluster": self.cluster,
                "token": self.token,
                "size": self.size,
                "formed": self.formed,
                "members": dict(self.members),
            },
            indent=1,
        )


def from_json(text: str) -> Record | None:
    """The record, or None for the empty blob that is made only to be leased."""
    if not text.strip():
        return None
    try:
        raw = json.loads(text)
        if raw["version"] != _VERSION:
            raise RecordError(
                f"members.json has version {raw['version']}, this program writes {_VERSION}: "
                "bring the nodes to one release of the platform"
            )
        return Record(
            cluster=str(raw["cluster"]),
            token=str(raw["token"]),
            size=int(raw["size"]),
            formed=bool(raw["formed"]),
            members={str(name): str(address) for name, address in raw["members"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"members.json can't be understood ({error!r}): {text[:200]}") from error


def mark_formed(blob: Blob, clock: Clock) -> None:
    """Record that the cluster is formed, permanently: from then on a node without data never starts
    as a first member, for etcd may hold data that exists nowhere else. Raises ClusterError after
    two minutes without storage."""
    try:
        retry(
            lambda: _mark_formed(blob),
            on=BlobUnavailable,
            patience=_PATIENCE,
            pause=_PAUSE,
            clock=clock,
        )
    except BlobUnavailable as error:
        raise ClusterError(
            f"could not note in members.json that the cluster is formed: {error}. Run this again"
        ) from error


def _mark_formed(blob: Blob) -> None:
    content = blob.read()
    record = from_json(content.text) if content is not None else None
    if record is None:
        raise ClusterError("members.json is gone although etcd runs: restore it from a version")
    if record.formed:
        return
    with blob.lease() as lease:
        content = blob.read()
        record = from_json(content.text) if content is not None else None
        if content is not None and record is not None and not record.formed:
            lease.write(replace(record, formed=True).to_json(), content.etag)
