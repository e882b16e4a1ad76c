"""What a module of one Azure service has to provide for each of its resource types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lab.azure.arm.properties import Properties
from lab.azure.arm.store import JsonObject, Resource, Store


@dataclass(frozen=True, kw_only=True)
class Request:
    """A PUT: ``before`` is what exists under this id, ``path`` the named parts of the id."""

    id: str
    path: Mapping[str, str]
    inputs: JsonObject
    before: Resource | None

    @property
    def name(self) -> str:
        return self.id.rsplit("/", 1)[-1]

    @property
    def location(self) -> str:
        return str(self.inputs.get("location", ""))

    def child(self, collection: str, name: str) -> str:
        """The id of a part that lives inside this resource: a probe, a frontend."""
        return f"{self.id}/{collection}/{name}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What comes of a PUT, beside the outputs every resource has."""

    outputs: JsonObject = field(default_factory=dict)
    private: JsonObject = field(default_factory=dict)


class Kind:
    """The rules of one resource type; a type that needs none is its two attributes.

    ``check`` and ``check_delete`` decide and change nothing. ``write`` and ``remove`` act, and can
    be run again after they were interrupted at any point.
    """

    token: ClassVar[str]
    properties: ClassVar[Properties]
    always_exists: ClassVar[bool] = False
    """Azure makes it with its parent (a singleton called ``default``): creating is updating."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def check(self, request: Request) -> None:
        """Raises an AzureError when Azure would refuse the inputs."""

    async def write(self, request: Request) -> Answer:  # noqa: ARG002 (for those that override it)
        """Makes it so."""
        return Answer()

    def check_delete(self, resource: Resource) -> None:
        """Raises an AzureError when Azure would refuse to delete it."""

    async def remove(self, resource: Resource) -> None:
        """Undoes what ``write`` did outside the store."""
