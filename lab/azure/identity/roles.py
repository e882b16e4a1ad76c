"""Role-based access control of the data plane, from the role assignments in the store.

As on Azure, management roles (Owner, Contributor) give no access to data; only the data roles do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lab.azure.arm.store import Resource, Store
from lab.azure.identity.resource_types import ROLE_ASSIGNMENT

PROPAGATION = 5.0
"""Seconds until an assignment takes effect. Azure takes minutes."""

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
BLOB_READ = f"{_BLOBS}/read"
BLOB_WRITE = f"{_BLOBS}/write"
BLOB_DELETE = f"{_BLOBS}/delete"
CONTAINER_READ = "Microsoft.Storage/storageAccounts/blobServices/containers/read"
CONTAINER_WRITE = "Microsoft.Storage/storageAccounts/blobServices/containers/write"

_SECRETS = "Microsoft.KeyVault/vaults/secrets"
SECRET_GET = f"{_SECRETS}/getSecret/action"
SECRET_LIST = f"{_SECRETS}/readMetadata/action"
SECRET_SET = f"{_SECRETS}/setSecret/action"
SECRET_DELETE = f"{_SECRETS}/delete"
SECRET_RECOVER = f"{_SECRETS}/recover/action"
SECRET_PURGE = f"{_SECRETS}/purge/action"


@dataclass(frozen=True, kw_only=True)
class Role:
    """A built-in role: its display name and the data actions it allows (patterns with ``*``)."""

    name: str
    actions: frozenset[str] = frozenset()

    def allows(self, action: str) -> bool:
        return any(fnmatchcase(action, pattern) for pattern in self.actions)


def _role(name: str, *actions: str) -> Role:
    return Role(name=name, actions=frozenset(actions))


ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": _role("Owner"),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": _role("Contributor"),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": _role("Reader"),
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": _role("User Access Administrator"),
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": _role(
        "Storage Blob Data Reader", BLOB_READ, CONTAINER_READ
    ),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": _role(
        "Storage Blob Data Contributor",
        *(BLOB_READ, BLOB_WRITE, BLOB_DELETE, CONTAINER_READ, CONTAINER_WRITE),
    ),
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": _role(
        "Storage Blob Data Owner", "Microsoft.Storage/storageAccounts/blobServices/containers/*"
    ),
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": _role(
        "Key Vault Administrator", "Microsoft.KeyVault/vaults/*"
    ),
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": _role("Key Vault Secrets Officer", f"{_SECRETS}/*"),
    "4633458b-17de-408a-b874-0445c86b69e6": _role(
        "Key Vault Secrets User", SECRET_GET, SECRET_LIST
    ),
    "21090545-7ca7-4776-b22c-e363652d74d2": _role("Key Vault Reader", SECRET_LIST),
}
"""Built-in roles by the GUID of their definition. The lab refuses all others."""


class Roles:
    """Decides by the store's role assignments what a principal may do."""

    def __init__(
        self,
        store: Store,
        *,
        propagation: float = PROPAGATION,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._propagation = propagation
        self._clock = clock

    def allows(self, object_id: str, action: str, scope: str) -> bool:
        """``scope`` is the accessed ARM id. An assignment counts on it or on any id above it."""
        return any(
            self._effective(assignment)
            and assignment.inputs["principalId"].lower() == object_id.lower()
            and _covers(assignment.inputs["scope"], scope)
            and _definition(assignment).allows(action)
            for assignment in self._store.list(ROLE_ASSIGNMENT)
        )

    def _effective(self, assignment: Resource) -> bool:
        created = float(assignment.private.get("createdAt", 0))
        return self._clock() >= created + self._propagation


def _covers(assigned: str, scope: str) -> bool:
    return f"{scope.lower()}/".startswith(f"{assigned.lower().rstrip('/')}/")


def _definition(assignment: Resource) -> Role:
    guid = assignment.inputs["roleDefinitionId"].rsplit("/", 1)[-1].lower()
    return ROLES.get(guid, Role(name=guid))
