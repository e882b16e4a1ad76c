"""The interface that each Azure service implements for its resource types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lab.azure.arm.properties import Properties
from lab.azure.arm.store import JsonObject, Resource, Store


@dataclass(frozen=True, kw_only=True)
class Request:
    """A PUT. ``before`` is the resource that exists, ``path`` the named parts of the id."""

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
        """The id of a part inside this resource: a probe, a frontend."""
        return f"{self.id}/{collection}/{name}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result of a PUT, besides the outputs that every resource has."""

    outputs: JsonObject = field(default_factory=dict)
    private: JsonObject = field(default_factory=dict)


class Kind:
    """The rules of one resource type. A type without rules has only the two attributes.

    ``check`` and ``check_delete`` change nothing. ``write`` and ``remove`` have effects; after an
    interruption at any point, they can run again.
    """

    token: ClassVar[str]
    properties: ClassVar[Properties]
    always_exists: ClassVar[bool] = False
    """Azure creates it with its parent (a singleton named ``default``): to create is to update."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def check(self, request: Request) -> None:
        """Raises an AzureError when Azure would refuse the inputs."""

    async def write(self, request: Request) -> Answer:  # noqa: ARG002 (used by overrides)
        """Creates or changes what the resource stands for outside the store."""
        return Answer()

    def check_delete(self, resource: Resource) -> None:
        """Raises an AzureError when Azure would refuse to delete it."""

    async def remove(self, resource: Resource) -> None:
        """Removes what ``write`` created outside the store."""
