"""References between resources: by full id, to existing resources in the same region."""

from collections.abc import Iterator
from typing import Any

from lab.azure.arm.errors import AzureError
from lab.azure.arm.kinds import Request
from lab.azure.arm.regions import normalised
from lab.azure.arm.store import JsonObject, Resource, Store


def require(store: Store, id: str, token: str, by: Request) -> Resource:
    """The resource with that id and type. Azure gives one error for "missing" and "elsewhere"."""
    found = store.get(id)
    if found is None or found.token != token:
        raise _invalid(id, by)
    location = found.outputs.get("location")
    if location and by.location and location != normalised(by.location):
        raise _invalid(id, by)
    return found


def require_part(store: Store, id: str, token: str, collection: str, by: Request) -> Resource:
    """The resource that contains the part (a pool, a probe) with that id."""
    owner, _, name = id.rpartition(f"/{collection}/")
    found = require(store, owner, token, by)
    if name not in names(found.inputs, collection):
        raise _invalid(id, by)
    return found


def names(inputs: JsonObject, collection: str) -> list[str]:
    """The names of the parts in one of a resource's lists."""
    return [part.get("name", "") for part in inputs.get(collection) or []]


def users(store: Store, id: str, token: str | None = None) -> list[Resource]:
    """Resources of that type (or of any) that refer to ``id`` or to a part of it."""
    wanted = id.lower()
    return [
        resource
        for resource in store.list(token)
        if resource.id.lower() != wanted
        and any(_is_at_or_below(each, wanted) for each in references(resource.inputs))
    ]


def references(value: Any) -> Iterator[str]:
    """Every id that the inputs refer to, at any depth."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "id" and isinstance(each, str):
                yield each
            else:
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def _is_at_or_below(id: str, wanted: str) -> bool:
    return id.lower() == wanted or id.lower().startswith(wanted + "/")


def _invalid(id: str, by: Request) -> AzureError:
    message = (
        f"Resource {id} referenced by resource {by.id} was not found. Please make sure that the "
        "referenced resource exists, and that both resources are in the same region."
    )
    return AzureError("InvalidResourceReference", message)
