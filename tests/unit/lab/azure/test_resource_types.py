"""The table of resource types agrees with the published package, and its ids can be parsed."""

from __future__ import annotations

import pytest

from lab.azure.arm.resource_types import ResourceType
from lab.azure.arm.subscription import SUBSCRIPTION_ID
from lab.azure.resource_types import RESOURCE_TYPES
from lab.providers.azure_native import schema

ALL = pytest.mark.parametrize("resource_type", RESOURCE_TYPES.values(), ids=RESOURCE_TYPES)


@ALL
def test_every_property_path_exists_in_the_package(resource_type: ResourceType) -> None:
    paths = {
        *resource_type.id_names,
        *resource_type.replace_on,
        *resource_type.write_only,
        *resource_type.secret_outputs,
        *resource_type.standalone_lists,
    }

    assert [path for path in paths if not _exists(resource_type, path)] == []


@ALL
def test_located_types_are_those_that_take_a_location(resource_type: ResourceType) -> None:
    takes_location = "location" in schema.input_shape(resource_type.token).properties

    assert resource_type.located == takes_location


@ALL
def test_an_id_can_be_parsed(resource_type: ResourceType) -> None:
    names = {name: f"a-{name}" for name in resource_type.id_names}
    if "scope" in names:
        names["scope"] = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/group"

    resource_id = resource_type.resource_id(names)

    found = resource_type.parse_id(resource_id.lower().replace("a-", "A-"))
    assert found is not None
    assert [each for each in RESOURCE_TYPES.values() if each.parse_id(resource_id)] == [
        resource_type
    ]


def test_a_blob_name_may_hold_slashes() -> None:
    blob = RESOURCE_TYPES["azure-native:storage:Blob"]
    names = {
        "resourceGroupName": "group",
        "accountName": "account",
        "containerName": "container",
        "blobName": "a/b/c",
    }

    parsed = blob.parse_id(blob.resource_id(names))

    assert parsed == {**names, "subscriptionId": SUBSCRIPTION_ID}


def _exists(resource_type: ResourceType, path: str) -> bool:
    shape: schema.Shape = schema.input_shape(resource_type.token)
    for name in path.split("."):
        if not isinstance(shape, schema.Record) or name not in shape.properties:
            return False
        shape = shape.properties[name]
    return True
