"""What all resource types share: existence, parents, locations, names, refusals."""

import asyncio

import pytest

from lab.azure.arm.kinds import Answer
from tests.unit.lab.azure.azure import ACCOUNT, CONTAINER, EVERYTHING_BUT_VMS, GROUP, Azure
from tests.unit.lab.azure.conftest import refusal


async def test_an_existing_resource_cannot_be_created_again(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")

    error = await refusal(azure.create("resources:ResourceGroup"))

    assert error.status == 409
    assert error.message == f"cannot create already existing resource '{GROUP}'"


async def test_ids_are_the_same_in_any_case(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")

    error = await refusal(azure.create("resources:ResourceGroup", resourceGroupName="FLEET-DEV"))

    assert error.status == 409


async def test_nothing_is_made_outside_a_resource_group(azure: Azure) -> None:
    error = await refusal(azure.create("network:VirtualNetwork"))

    assert error.code == "ResourceGroupNotFound"


async def test_a_child_needs_its_parent(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")

    error = await refusal(azure.create("storage:BlobContainer"))

    assert error.code == "ParentResourceNotFound"
    assert ACCOUNT in error.message


async def test_a_blob_may_be_named_like_a_path(azure: Azure) -> None:
    await azure.create_all(
        "resources:ResourceGroup", "storage:StorageAccount", "storage:BlobContainer"
    )

    blob = await azure.create("storage:Blob")

    assert blob.id == f"{CONTAINER}/blobs/folder/bundle.tar.gz"


@pytest.mark.parametrize(
    ("location", "code"),
    [("middleearth", "LocationNotAvailableForResourceType"), (None, "LocationRequired")],
)
async def test_a_location_must_be_a_region(azure: Azure, location: str | None, code: str) -> None:
    error = await refusal(azure.create("resources:ResourceGroup", location=location))

    assert error.code == code


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"a/b": "c"}, "InvalidTagNameCharacters"),
        ({"a": "x" * 257}, "InvalidTagValueLength"),
        ({str(n): "x" for n in range(51)}, "InvalidTags"),
    ],
)
async def test_tags_have_limits(azure: Azure, tags: dict[str, str], code: str) -> None:
    error = await refusal(azure.create("resources:ResourceGroup", tags=tags))

    assert error.code == code


async def test_the_location_is_given_back_in_its_short_form(azure: Azure) -> None:
    group = await azure.create("resources:ResourceGroup", location="West Europe")

    assert group.outputs["location"] == "westeurope"


async def test_a_property_that_is_not_modelled_is_refused_by_its_path(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")

    error = await refusal(
        azure.create("network:VirtualNetwork", dhcpOptions={"dnsServers": ["10.0.0.1"]})
    )

    assert error.status == 501
    assert "Microsoft.Network/virtualNetworks property dhcpOptions.dnsServers" in error.message


async def test_a_value_that_is_not_modelled_is_refused_by_its_path(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")

    error = await refusal(azure.create("storage:StorageAccount", allowBlobPublicAccess=True))

    assert error.status == 501
    assert "allowBlobPublicAccess = True" in error.message


async def test_a_property_that_azure_replaces_cannot_be_changed(azure: Azure) -> None:
    await azure.create("resources:ResourceGroup")

    error = await refusal(azure.update("resources:ResourceGroup", location="northeurope"))

    assert error.code == "PropertyChangeNotAllowed"
    assert "location" in error.message


async def test_outputs_hold_neither_secrets_nor_parts_of_the_id(azure: Azure) -> None:
    await azure.create_all("resources:ResourceGroup", "keyvault:Vault")

    secret = await azure.create("keyvault:Secret")

    assert "hush" not in str(secret.outputs)
    assert "hush" not in str(secret.inputs)
    assert "vaultName" not in secret.outputs


async def test_deleting_a_group_deletes_everything_in_it(azure: Azure) -> None:
    await azure.create_all(
        *EVERYTHING_BUT_VMS,
        "compute:VirtualMachineScaleSet",
        "storage:StorageAccount",
        "storage:BlobContainer",
        "keyvault:Vault",
        "keyvault:Secret",
    )

    await azure.cloud.manager.delete(GROUP)

    left = [each.token for each in azure.store.list()]
    assert left == ["azure-native:keyvault:DeletedVault"]
    assert (azure.host.containers, azure.host.networks, azure.host.disks) == ({}, {}, {})
    assert azure.blobs.containers == set()


async def test_deleting_a_missing_resource_succeeds(azure: Azure) -> None:
    await azure.cloud.manager.delete(GROUP)


async def test_one_operation_at_a_time_on_a_resource(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def slowly(_self: object, _request: object) -> Answer:
        await never.wait()
        return Answer()

    monkeypatch.setattr("lab.azure.arm.resource_groups.ResourceGroupKind.write", slowly)
    first = asyncio.create_task(azure.create("resources:ResourceGroup"))
    await asyncio.sleep(0)

    error = await refusal(azure.create("resources:ResourceGroup"))

    first.cancel()
    assert error.code == "AnotherOperationInProgress"


async def test_a_group_with_an_operation_going_on_in_it_cannot_be_deleted(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    await azure.create("resources:ResourceGroup")
    never = asyncio.Event()

    async def slowly(_self: object, _request: object) -> Answer:
        await never.wait()
        return Answer()

    monkeypatch.setattr("lab.azure.network.public_addresses.PublicAddressKind.write", slowly)
    first = asyncio.create_task(azure.create("network:PublicIPAddress"))
    await asyncio.sleep(0)

    error = await refusal(azure.cloud.manager.delete(GROUP))

    first.cancel()
    assert error.code == "AnotherOperationInProgress"


async def test_everything_is_there_after_a_restart(azure: Azure) -> None:
    made = await azure.create("resources:ResourceGroup", tags={"owner": "me"})

    azure.start()

    assert azure.store.get(made.id) == made
