"""The tables of modelled properties, against the types of the published package."""

import pytest

from lab.azure.arm.kinds import Kind
from lab.azure.arm.properties import as_sent
from lab.azure.arm.subscription import DEPLOYER_OBJECT_ID
from lab.azure.control_plane import kinds
from lab.providers.azure_native.schema import (
    Listing,
    OneOf,
    Record,
    Shape,
    Table,
    input_shape,
    output_properties,
)
from tests.unit.lab.azure.azure import EVERYTHING_BUT_VMS, Azure


def exists(shape: Shape, path: list[str]) -> bool:
    match shape:
        case _ if not path:
            return True
        case Listing(item=item):
            return exists(item, path)
        case Table():
            return path == ["*"]
        case OneOf(shapes=shapes):
            return any(exists(each, path) for each in shapes)
        case Record(properties=properties):
            return path[0] in properties and exists(properties[path[0]], path[1:])
    return False


async def test_every_property_in_a_table_exists(azure: Azure) -> None:
    unknown = [
        f"{kind.token} {path}"
        for kind in all_kinds(azure)
        for path in (*kind.properties.modelled, *kind.properties.only, *kind.properties.inert)
        if not exists(input_shape(kind.token), path.split("."))
    ]

    assert unknown == []


async def test_every_inert_property_has_a_reason(azure: Azure) -> None:
    reasons = [why for kind in all_kinds(azure) for why in kind.properties.inert.values()]

    assert all(len(why.split()) > 2 for why in reasons)


async def test_outputs_are_those_of_the_package(azure: Azure) -> None:
    await azure.create_all(
        *EVERYTHING_BUT_VMS,
        "storage:StorageAccount",
        "storage:BlobContainer",
        "storage:BlobServiceProperties",
        "storage:ManagementPolicy",
        "keyvault:Vault",
        "keyvault:Secret",
        "compute:VirtualMachineScaleSet",
    )
    await azure.create("authorization:RoleAssignment", principalId=DEPLOYER_OBJECT_ID)

    for resource in azure.store.list():
        if "VirtualMachineScaleSetVM" not in resource.token:
            known = {*output_properties(resource.token), "etag", "provisioningState"}
            assert set(resource.outputs) <= known, resource.token


def all_kinds(azure: Azure) -> list[Kind]:
    return kinds(azure.store, azure.host, azure.blobs, azure.cloud.scale_sets)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ({"a": None, "b": 1.0}, {"b": 1}),
        ([{"a": None}, 1.5], [{}, 1.5]),
        (True, True),
    ],
)
def test_properties_are_sent_in_azures_form(value: object, sent: object) -> None:
    assert as_sent(value) == sent
