"""The resources of the simulated Azure: one file each, written atomically, readable by root only.

All other state is derived from this store, so a killed process loses nothing. The store applies no
rule of any Azure service.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource as it was accepted.

    ``inputs`` are azure-native's flattened camelCase inputs; ``outputs`` go to the provider;
    ``private`` (account keys, secret values, VM records) never leaves the process through the API.
    """

    id: str
    token: str
    inputs: JsonObject
    outputs: JsonObject
    private: JsonObject = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.id.rsplit("/", 1)[-1]

    def within(self, parent: str) -> bool:
        """Whether this resource is inside the resource or group with the id ``parent``."""
        return self.id.lower().startswith(parent.lower().rstrip("/") + "/")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One write: ``before`` is None for a new resource, ``after`` is None for a deleted one."""

    before: Resource | None
    after: Resource | None

    @property
    def resource(self) -> Resource:
        changed = self.after or self.before
        assert changed is not None, "a change has at least one side"
        return changed


Listener = Callable[[Change], None]


class Store:
    """All resources, in memory and on disk. Ids are compared without case, as in Azure."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._resources: dict[str, Resource] = {}
        self._listeners: list[Listener] = []
        for path in sorted(self._directory.glob("*.json")):
            resource = Resource(**json.loads(path.read_text()))
            self._resources[resource.id.lower()] = resource

    def get(self, id: str) -> Resource | None:
        return self._resources.get(id.lower())

    def list(self, token: str | None = None, prefix: str = "") -> tuple[Resource, ...]:
        """Resources of one type (or of all) whose ids start with ``prefix``, ordered by id."""
        return tuple(self._matching(token, prefix.lower()))

    def put(self, resource: Resource) -> None:
        """Writes the resource, then calls the listeners."""
        before = self._resources.get(resource.id.lower())
        self._write(resource)
        self._resources[resource.id.lower()] = resource
        self._notify(Change(before=before, after=resource))

    def delete(self, id: str) -> None:
        """Deletes the resource. A missing one is no error: an interrupted deletion runs again."""
        before = self._resources.pop(id.lower(), None)
        if before is None:
            return
        self._path(id).unlink(missing_ok=True)
        self._notify(Change(before=before, after=None))

    def on_change(self, listener: Listener) -> None:
        """Calls ``listener`` after every write. It must be quick and must not write here."""
        self._listeners.append(listener)

    def _matching(self, token: str | None, prefix: str) -> Iterator[Resource]:
        for key in sorted(self._resources):
            if key.startswith(prefix) and token in (None, self._resources[key].token):
                yield self._resources[key]

    def _notify(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)

    def _path(self, id: str) -> Path:
        # ARM ids are longer than a file name may be.
        return self._directory / f"{hashlib.sha256(id.lower().encode()).hexdigest()[:32]}.json"

    def _write(self, resource: Resource) -> None:
        write_private(self._path(resource.id), json.dumps(asdict(resource), indent=1))


def write_private(path: Path, text: str) -> None:
    """Replaces a file atomically, with mode 0600 from its first byte on."""
    scratch = path.with_name(f".{path.name}.new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
