"""A vault's secrets and their versions, without any protocol.

The resource manager (create, update) and the data plane (get, set, delete) both use it. A version
never changes. Values are in a resource's ``private``, which the lab's API never returns.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.azure.arm.errors import AzureError
from lab.azure.arm.store import JsonObject, Resource, Store

DELETED_SECRET = "azure-native:keyvault:DeletedSecret"
"""The lab's own type for a soft-deleted secret: its name stays taken until it is purged."""

MAX_BYTES = 25_600
"""Azure: a secret's value is at most 25 KB."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One value of a secret. Times are seconds since the epoch."""

    id: str
    value: str
    created: float
    updated: float
    content_type: str | None = None
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def equals(self, other: "Version") -> bool:
        return (self.value, self._attributes()) == (other.value, other._attributes())

    def _attributes(self) -> tuple[Any, ...]:
        return (self.content_type, self.enabled, self.not_before, self.expires, self.tags)


def versions(secret: Resource) -> tuple[Version, ...]:
    """All versions, oldest first."""
    return tuple(Version(**fields) for fields in secret.private["versions"])


def current(secret: Resource) -> Version:
    return versions(secret)[-1]


def with_version(
    before: Resource | None,
    properties: Mapping[str, Any],
    tags: Mapping[str, str] | None = None,
) -> JsonObject:
    """The ``private`` of a secret after a write, with a new version if anything has changed.

    ``properties`` are azure-native's (``value``, ``contentType``, ``attributes``). Without a value
    the current one stays, as in ARM. Raises AzureError for a value that Azure refuses.
    """
    known = versions(before) if before else ()
    value = properties.get("value", known[-1].value if known else None)
    if value is None:
        raise AzureError("BadParameter", "The property 'value' of the secret is missing.")
    if len(value.encode()) > MAX_BYTES:
        raise AzureError("BadParameter", f"The secret is longer than {MAX_BYTES} bytes.")
    attributes = properties.get("attributes") or {}
    now = time.time()
    version = Version(
        id=uuid.uuid4().hex,
        value=value,
        created=now,
        updated=now,
        content_type=properties.get("contentType"),
        enabled=attributes.get("enabled", True),
        not_before=attributes.get("notBefore", attributes.get("nbf")),
        expires=attributes.get("expires", attributes.get("exp")),
        tags=dict(tags or {}),
    )
    if not known or not version.equals(known[-1]):
        known = (*known, version)
    return {"versions": [asdict(each) for each in known]}


def check_name_is_free(store: Store, vault_id: str, name: str) -> None:
    """Raises Azure's 409 while a deleted secret of that name can still be recovered."""
    if store.get(deleted_id(vault_id, name)):
        raise AzureError(
            "ObjectIsDeletedButRecoverable",
            f"Secret {name} is currently in a deleted but recoverable state, and its name cannot "
            "be reused; in this state, the secret can only be recovered or purged.",
            409,
        )


def delete(store: Store, secret: Resource) -> Resource:
    """Soft-deletes the secret. Returns the record that stays."""
    vault_id = secret.id.rsplit("/secrets/", 1)[0]
    record = Resource(
        id=deleted_id(vault_id, secret.name),
        token=DELETED_SECRET,
        inputs={},
        outputs={},
        private={"secret": asdict(secret), "deletedAt": time.time()},
    )
    store.put(record)
    store.delete(secret.id)
    return record


def recover(store: Store, record: Resource) -> Resource:
    secret = Resource(**record.private["secret"])
    store.put(secret)
    store.delete(record.id)
    return secret


def purge(store: Store, secret_id: str) -> None:
    """Removes the secret and the record of its deletion."""
    vault_id, _, name = secret_id.rpartition("/secrets/")
    store.delete(secret_id)
    store.delete(deleted_id(vault_id, name))


def forget_vault(store: Store, vault_id: str) -> None:
    """Removes the records of a deleted vault's deleted secrets."""
    for record in store.list(DELETED_SECRET, f"{vault_id}/"):
        store.delete(record.id)


def deleted_id(vault_id: str, name: str) -> str:
    return f"{vault_id}/deletedSecrets/{name}"
