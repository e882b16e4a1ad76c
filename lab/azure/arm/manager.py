"""Azure's resource manager: ids, existence, parents, one operation at a time, deletion in order.

It applies the rules that all resource types share. Each service's folder has its own rules.
"""

import copy
import re
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from lab.azure.arm.errors import AzureError, not_found, not_modelled
from lab.azure.arm.kinds import Kind, Request
from lab.azure.arm.naming import check_tags
from lab.azure.arm.properties import as_sent
from lab.azure.arm.regions import check_location, normalised
from lab.azure.arm.resource_types import ResourceType
from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.arm.subscription import SUBSCRIPTION_ID

_SUBSCRIPTION = f"/subscriptions/{SUBSCRIPTION_ID}"


class ResourceManager:
    """Carries out PUT and DELETE on resources of the given kinds."""

    def __init__(
        self, store: Store, kinds: Iterable[Kind], types: Mapping[str, ResourceType]
    ) -> None:
        """``kinds``: what is used before what uses it. A group is emptied from the end."""
        self._store = store
        self.types = types
        self._kinds: Mapping[str, Kind] = {kind.token: kind for kind in kinds}
        self._busy: set[str] = set()
        self._going: set[str] = set()

    async def create(self, token: str, inputs: JsonObject) -> Resource:
        """Raises 409 if the resource exists: Pulumi must not adopt it."""
        kind, resource_type = self._known(token)
        inputs = as_sent(inputs)
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
        inputs = as_sent(inputs)
        _refuse_replacement(resource_type, before, inputs)
        return await self._write(kind, resource_type, before.id, inputs, before)

    async def delete(self, id: str) -> None:
        """Deletes the resource and everything inside it. A missing one is no error, as in ARM.

        A resource that always exists is reset instead; resources below its id have another parent.
        """
        resource = self._store.get(id)
        if resource is None:
            return
        kind, _ = self._known(resource.token)
        if kind.always_exists:
            async with self._operation(resource.id):
                await kind.remove(resource)
                self._store.delete(resource.id)
            return
        async with self._operation(resource.id), self._deletion(resource.id):
            kind.check_delete(resource)
            for child in self._contents(resource):
                await self._kinds[child.token].remove(child)
                self._store.delete(child.id)
            await kind.remove(resource)
            self._store.delete(resource.id)

    def operations(self) -> list[str]:
        """The ids (in lower case) on which an operation is running now."""
        return sorted(self._busy)

    async def _write(
        self,
        kind: Kind,
        resource_type: ResourceType,
        id: str,
        inputs: JsonObject,
        before: Resource | None,
    ) -> Resource:
        kind.properties.refuse_unmodelled(resource_type.arm_type, inputs)
        names = {name: str(inputs[name]) for name in resource_type.id_names}
        self._check_parents(id, parents(resource_type, names))
        check_location(resource_type, inputs)
        check_tags(inputs.get("tags") or {})
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
        if token not in self._kinds or token not in self.types:
            raise not_modelled(f"resource type {token}")
        return self._kinds[token], self.types[token]

    def _check_parents(self, id: str, parents: Iterable[str]) -> None:
        for parent in parents:
            if self._store.get(parent) is not None or parent.lower() == _SUBSCRIPTION.lower():
                continue
            if re.fullmatch(r"(?i)/subscriptions/[^/]+", parent):
                message = f"The subscription '{parent}' could not be found."
                raise AzureError("SubscriptionNotFound", message, 404)
            if re.fullmatch(r"(?i)/subscriptions/[^/]+/resourceGroups/[^/]+", parent):
                message = f"Resource group '{parent.rsplit('/', 1)[-1]}' could not be found."
                raise AzureError("ResourceGroupNotFound", message, 404)
            message = f"Can not perform requested operation on nested resource '{id}'. "
            message += f"Parent resource '{parent}' not found."
            raise AzureError("ParentResourceNotFound", message, 404)

    def _contents(self, resource: Resource) -> list[Resource]:
        """Everything inside it; a resource comes before those that it uses."""
        inside = self._store.list(prefix=f"{resource.id}/")
        order = list(self._kinds)
        known = [each for each in inside if each.token in self._kinds]
        return sorted(known, key=lambda each: order.index(each.token), reverse=True)

    @asynccontextmanager
    async def _operation(self, id: str) -> AsyncIterator[None]:
        """As in ARM, one at a time on a resource, and none inside one that is being deleted."""
        key = id.lower()
        if key in self._busy or any(key.startswith(f"{going}/") for going in self._going):
            raise _in_progress(id)
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)

    @asynccontextmanager
    async def _deletion(self, id: str) -> AsyncIterator[None]:
        key = id.lower()
        if any(busy.startswith(f"{key}/") for busy in self._busy):
            raise _in_progress(id)
        self._going.add(key)
        try:
            yield
        finally:
            self._going.discard(key)


def _in_progress(id: str) -> AzureError:
    message = f"Another operation on '{id}' is in progress. Try again later."
    return AzureError("AnotherOperationInProgress", message, 409)


def parents(resource_type: ResourceType, names: Mapping[str, str]) -> list[str]:
    """Ids of what must exist first: subscription, group, outer resources.

    Each is the id up to one of its named parts; for a role assignment, it is the scope.
    """
    template = resource_type.id_template
    ends = [match.end() for match in re.finditer(r"{\w+}", template)][:-1]
    return [template[:end].format(subscriptionId=SUBSCRIPTION_ID, **names) for end in ends]


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
    """The inputs without write-only values; the service keeps those in ``private``."""
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


def _outputs(resource_type: ResourceType, request: Request) -> JsonObject:
    """What every resource returns: its name, and its inputs without secrets and parts of the id."""
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
