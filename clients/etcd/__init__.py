"""etcd: its v2 keys API, its members, locks."""

from clients.etcd.answer import (
    Answer,
    CompareFailed,
    EtcdError,
    EtcdUnavailable,
    IndexCleared,
    KeyExists,
    KeyNotFound,
    Node,
)
from clients.etcd.client import LOCAL_ENDPOINT, Etcd

__all__ = [
    "LOCAL_ENDPOINT",
    "Answer",
    "CompareFailed",
    "Etcd",
    "EtcdError",
    "EtcdUnavailable",
    "IndexCleared",
    "KeyExists",
    "KeyNotFound",
    "Node",
]
