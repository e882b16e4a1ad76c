"""Azure's resource manager: ids, existence, parents, one operation at a time, deletion in order.

It knows what all resource types share. What is special about one is in that service's module.
"""

import copy
import re
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from lab.catalogue import RESOURCE_TYPES, SUBSCRIPTION_ID, ResourceType
from lab.cloud.errors import AzureError, not_found, not_modelled
from lab.cloud.kinds import Kind, Request
from lab.cloud.locations import LOCATIONS, normalised
from lab.cloud.properties import without_nulls
from lab.cloud.store import JsonObject, Resource, Store

_SUBSCRIPTION = f"/subscriptions/{SUBSCRIPTION_ID}"


class ResourceManager:
    """Carries out PUT and DELETE on resources of the given kinds."""

    def __init__(self, store: Store, kinds: Iterable[Kind]) -> None:
        self._store = store
        self._kinds: Mapping[str, Kind] = {kind.token: kind for kind in kinds}
        self._busy: set[str] = set()

    async def create(self, token: str, inputs: JsonObject) -> Resource:
        """Raises 409 if there is a resource with that id: Pulumi must not take over others'."""
        kind, resource_type = self._known(token)
        inputs = without_nulls(inputs)
        id = _resource_id(resource_type, inputs)
        existing = self._store.get(id)
        if existing is not None and not kind.always_exists:
            message = f"cannot create already existing resource '{existing.id}'"
            raise AzureError("ResourceExists", message, 409)
        return await self._write(kind, resource_type, id, inputs, existing)

    async def update(self, id: str, token: str, inputs: JsonObject) -> Resource:
        kind, resource_type = self._known(token)
        before = self._store.get(id)
        if before is None:
            raise not_found(id)
        inputs = without_nulls(inputs)
        _refuse_replacement(resource_type, before, inputs)
        return await self._write(kind, resource_type, before.id, inputs, before)

    async def delete(self, id: str) -> None:
        """Deletes it with everything inside it. Deleting what is gone is fine, as in ARM."""
        resource = self._store.get(id)
        if resource is None:
            return
        kind, _ = self._known(resource.token)
        async with self._operation(resource.id):
            kind.check_delete(resource)
            for child in self._contents(resource):
                await self._kinds[child.token].remove(child)
                self._store.delete(child.id)
            await kind.remove(resource)
            self._store.delete(resource.id)

    async def _write(
        self,
        kind: Kind,
        resource_type: ResourceType,
        id: str,
        inputs: JsonObject,
        before: Resource | None,
    ) -> Resource:
        kind.properties.refuse_unmodelled(resource_type.arm_type, inputs)
        self._check_parents(id)
        if "location" in inputs:
            _check_location(inputs["location"], resource_type.arm_type)
        names = {name: str(inputs[name]) for name in resource_type.id_names}
        request = Request(id=id, path=names, inputs=inputs, before=before)
        async with self._operation(id):
            kind.check(request)
            answer = await kind.write(request)
            outputs = _outputs(resource_type, request) | answer.outputs
            resource = Resource(
                id=id,
                token=resource_type.token,
                inputs=_without(resource_type.write_only, inputs),
                outputs=outputs,
                private=answer.private,
            )
            self._store.put(resource)
        return resource

    def _known(self, token: str) -> tuple[Kind, ResourceType]:
        if token not in self._kinds or token not in RESOURCE_TYPES:
            raise not_modelled(f"resource type {token}")
        return self._kinds[token], RESOURCE_TYPES[token]

    def _check_parents(self, id: str) -> None:
        for parent in parents(id):
            if self._store.get(parent) is not None or parent.lower() == _SUBSCRIPTION:
                continue
            if re.fullmatch(r"/subscriptions/[^/]+/resourceGroups/[^/]+", parent):
                message = f"Resource group '{parent.rsplit('/', 1)[-1]}' could not be found."
                raise AzureError("ResourceGroupNotFound", message, 404)
            if parent.lower().startswith(_SUBSCRIPTION + "/"):
                message = f"Can not perform requested operation on nested resource '{id}'. "
                message += f"Parent resource '{parent}' not found."
                raise AzureError("ParentResourceNotFound", message, 404)
            raise AzureError("SubscriptionNotFound", f"No subscription for '{id}'.", 404)

    def _contents(self, resource: Resource) -> list[Resource]:
        """Everything inside it, users before what they use, so that the effects can be undone."""
        inside = [each for each in self._store.list() if each.within(resource.id)]
        order = list(self._kinds)
        known = [each for each in inside if each.token in self._kinds]
        return sorted(known, key=lambda each: order.index(each.token), reverse=True)

    @asynccontextmanager
    async def _operation(self, id: str) -> AsyncIterator[None]:
        """One at a time on a resource, as ARM wants it."""
        key = id.lower()
        if key in self._busy:
            message = f"Another operation on '{id}' is in progress. Try again later."
            raise AzureError("AnotherOperationInProgress", message, 409)
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)


def parents(id: str) -> list[str]:
    """Ids that must exist before ``id`` can: subscription, group, outer resources, a scope.

    ``/subscriptions/s/resourceGroups/g/providers/N/a/x/b/y`` has three: s, g and x. Parts that
    Azure always has (``blobServices/default``) are not resources to wait for.
    """
    head, _, tail = id.rpartition("/providers/")
    if not head:  # a resource group
        return [id.rsplit("/resourceGroups/", 1)[0]]
    found = [head] if "/providers/" in head else _groups(head)
    _, *names = tail.split("/")
    for end in range(2, len(names) - 1, 2):
        if names[end - 1] != "default":
            found.append(f"{head}/providers/{'/'.join([tail.split('/')[0], *names[:end]])}")
    return found


def _groups(head: str) -> list[str]:
    subscription, separator, _ = head.partition("/resourceGroups/")
    return [subscription, head] if separator else [subscription]


def _resource_id(resource_type: ResourceType, inputs: JsonObject) -> str:
    for name in resource_type.id_names:
        if not inputs.get(name):
            message = f"The {resource_type.arm_type} request names no '{name}'."
            raise AzureError("InvalidRequestContent", message)
    return resource_type.resource_id(inputs)


def _refuse_replacement(resource_type: ResourceType, before: Resource, inputs: JsonObject) -> None:
    for path in sorted(resource_type.replace_on - resource_type.write_only):
        old, new = _at(before.inputs, path), _at(inputs, path)
        if old is not None and _differs(path, old, new):
            message = f"Changing property '{path}' of '{before.id}' is not allowed."
            raise AzureError("PropertyChangeNotAllowed", message, 409)


def _at(inputs: JsonObject, path: str) -> Any:
    value: Any = inputs
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _without(paths: Iterable[str], inputs: JsonObject) -> JsonObject:
    """The inputs without what Azure never returns; the service keeps that in ``private``."""
    kept = copy.deepcopy(inputs)
    for path in paths:
        parent, _, name = path.rpartition(".")
        holder = _at(kept, parent) if parent else kept
        if isinstance(holder, dict):
            holder.pop(name, None)
    return kept


def _differs(name: str, old: Any, new: Any) -> bool:
    if name == "location" and isinstance(old, str) and isinstance(new, str):
        return normalised(old) != normalised(new)
    return bool(old != new)


def _check_location(location: str, arm_type: str) -> None:
    if normalised(location) not in LOCATIONS:
        message = f"The provided location '{location}' is not available for '{arm_type}'."
        raise AzureError("LocationNotAvailableForResourceType", message)


def _outputs(resource_type: ResourceType, request: Request) -> JsonObject:
    """What every resource gives back: its inputs but for the id's parts and secrets, its name."""
    returned = _without(resource_type.write_only, request.inputs)
    outputs = {key: value for key, value in returned.items() if key not in request.path}
    if "location" in outputs:
        outputs["location"] = normalised(outputs["location"])
    return outputs | {
        "name": request.name,
        "type": resource_type.arm_type,
        "azureApiVersion": resource_type.api_version,
        "provisioningState": "Succeeded",
        "etag": f'W/"{uuid.uuid4()}"',
    }
