"""Writes into the record that the cluster is formed, for good."""

from __future__ import annotations

from dataclasses import replace

from clients.azure.blob import Blob, BlobUnavailable
from clients.clock import Clock
from clients.errors import ClusterError
from cluster.bootstrap.record import from_json

_PATIENCE = 120.0
_PAUSE = 2.0


def mark_formed(blob: Blob, clock: Clock) -> None:
    """From here on a node without data never starts as a first member again: etcd may hold data
    that exists nowhere else. Raises ClusterError after two minutes without storage."""
    deadline = clock.now() + _PATIENCE
    while True:
        try:
            _mark(blob)
            return
        except BlobUnavailable as error:
            if clock.now() >= deadline:
                raise ClusterError(
                    f"could not note in members.json that the cluster is formed: {error}. "
                    "Run this again"
                ) from error
        clock.sleep(_PAUSE)


def _mark(blob: Blob) -> None:
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
