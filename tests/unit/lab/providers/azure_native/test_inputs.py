"""Check: what is wrong with inputs, and what is filled in."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from lab.azure.resource_types import RESOURCE_TYPES
from lab.providers.azure_native.checking import Naming, NamingMode, check_problems, with_defaults
from lab.providers.wire import UNKNOWN, Asset, Secret

ACCOUNT = RESOURCE_TYPES["azure-native:storage:StorageAccount"]
SUBNET = RESOURCE_TYPES["azure-native:network:Subnet"]
ROLE = RESOURCE_TYPES["azure-native:authorization:RoleAssignment"]
SECRET = RESOURCE_TYPES["azure-native:keyvault:Secret"]
BLOB = RESOURCE_TYPES["azure-native:storage:Blob"]

GOOD_ACCOUNT: dict[str, Any] = {
    "resourceGroupName": "group",
    "accountName": "account",
    "location": "westeurope",
    "kind": "StorageV2",
    "sku": {"name": "Standard_LRS"},
}


def reasons(**changed: Any) -> list[str]:
    """What is said of an account that is good but for these inputs."""
    return [problem.reason for problem in check_problems(ACCOUNT, {**GOOD_ACCOUNT, **changed})]


async def filled_in(
    resource_type: Any = ACCOUNT,
    *,
    olds: dict[str, Any] | None = None,
    news: dict[str, Any] | None = None,
    naming: Naming | None = None,
    location: str | None = None,
) -> dict[str, Any]:
    async def locate_group(name: str) -> str | None:
        return {"group": "northeurope"}.get(name)

    return await with_defaults(
        resource_type,
        olds=olds or {},
        news=news if news is not None else {"resourceGroupName": "group"},
        naming=naming or Naming("name", b"a seed"),
        location=location,
        locate_group=locate_group,
    )


def test_good_inputs_have_no_problems() -> None:
    assert reasons() == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sku": {}}, "missing required property 'sku.name'"),
        ({"sku": None}, "missing required property 'sku'"),
        (
            {"allowBlobPublicAcces": True},
            "unknown property 'allowBlobPublicAcces'; did you mean 'allowBlobPublicAccess'?",
        ),
        ({"zzz": True}, "unknown property 'zzz'"),
        (
            {"allowSharedKeyAccess": "false"},
            "'allowSharedKeyAccess' should be true or false but is a string",
        ),
        ({"tags": ["a"]}, "'tags' should be a map but is a list"),
        ({"tags": {"a": 1}}, "'tags.a' should be a string but is a whole number"),
        ({"sku": "Standard_LRS"}, "'sku' should be an object but is a string"),
        (
            {"networkRuleSet": {"defaultAction": "Deny", "ipRules": {}}},
            "'networkRuleSet.ipRules' should be a list but is an object",
        ),
        (
            {"minimumTlsVersion": "TLS2"},
            "'minimumTlsVersion' is 'TLS2', which is not one of: TLS1_0, TLS1_1, TLS1_2, TLS1_3",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_property(changed: dict[str, Any], reason: str) -> None:
    assert reasons(**changed) == [reason]


def test_whole_numbers_are_not_fractions() -> None:
    scale_set = RESOURCE_TYPES["azure-native:compute:VirtualMachineScaleSet"]
    inputs = {
        "resourceGroupName": "group",
        "vmScaleSetName": "core",
        "location": "westeurope",
        "platformFaultDomainCount": 2.5,
    }

    (problem,) = check_problems(scale_set, inputs)

    assert problem.path == "platformFaultDomainCount"
    assert problem.reason.endswith("should be a whole number but is a number")


def test_unknown_values_are_not_checked() -> None:
    assert reasons(sku=UNKNOWN, tags={"a": UNKNOWN}, kind=Secret(UNKNOWN)) == []


def test_secret_values_are_judged_but_not_shown() -> None:
    (reason,) = reasons(tags=Secret({"a": ["hidden"]}))

    assert reason == "'tags.a' should be a string but is a list"


@pytest.mark.parametrize("source", [Asset("uri", "https://x"), Asset("path", ".", archive=True)])
def test_a_blob_takes_files_and_texts_only(source: Asset) -> None:
    inputs = {
        "resourceGroupName": "group",
        "accountName": "account",
        "containerName": "container",
        "blobName": "blob",
        "source": source,
    }

    (problem,) = check_problems(BLOB, inputs)

    assert problem.path == "source"


async def test_a_made_up_name_is_the_same_for_the_same_seed() -> None:
    first = await filled_in(naming=Naming("name", b"one"))
    again = await filled_in(naming=Naming("name", b"one"))
    other = await filled_in(naming=Naming("name", b"two"))

    assert first["accountName"] == again["accountName"] != other["accountName"]
    assert first["accountName"].startswith("name")
    assert len(first["accountName"]) == len("name") + 8
    assert first["__createBeforeDelete"] is True


async def test_children_get_the_name_of_the_resource_and_assignments_a_uuid() -> None:
    child = await filled_in(SUBNET)
    assignment = await filled_in(ROLE)

    assert child["subnetName"] == "name"
    assert "__createBeforeDelete" not in child
    assert uuid.UUID(assignment["roleAssignmentName"])


async def test_an_old_name_and_location_are_kept() -> None:
    olds = {"accountName": "old", "location": "old", "__createBeforeDelete": True}

    inputs = await filled_in(olds=olds, location="new")

    assert inputs["accountName"] == "old"
    assert inputs["location"] == "old"
    assert inputs["__createBeforeDelete"] is True


async def test_an_explicit_name_is_not_marked() -> None:
    inputs = await filled_in(news={"accountName": "mine"}, olds={"__createBeforeDelete": True})

    assert "__createBeforeDelete" not in inputs


@pytest.mark.parametrize(
    ("mode", "resource_type", "name"),
    [
        (NamingMode.PROPOSE, ACCOUNT, "proposed"),
        (NamingMode.PROPOSE, SUBNET, "proposed"),
        (NamingMode.ENFORCE, ROLE, "proposed"),
        (NamingMode.DISABLE, ACCOUNT, None),
    ],
)
async def test_naming_modes(mode: NamingMode, resource_type: Any, name: str | None) -> None:
    inputs = await filled_in(resource_type, naming=Naming("name", b"", mode, "proposed"))

    assert inputs.get(resource_type.name_property) == name


async def test_a_proposed_name_is_no_guid() -> None:
    inputs = await filled_in(ROLE, naming=Naming("name", b"", NamingMode.PROPOSE, "proposed"))

    assert uuid.UUID(inputs["roleAssignmentName"])


@pytest.mark.parametrize(
    ("news", "configured", "location"),
    [
        ({"resourceGroupName": "group"}, "westeurope", "westeurope"),
        ({"resourceGroupName": "group"}, None, "northeurope"),
        ({"resourceGroupName": UNKNOWN}, None, UNKNOWN),
        ({"resourceGroupName": "no such group"}, None, None),
        ({"resourceGroupName": "group", "location": "given"}, "westeurope", "given"),
    ],
)
async def test_where_a_location_comes_from(
    news: dict[str, Any], configured: str | None, location: Any
) -> None:
    inputs = await filled_in(news=news, location=configured)

    assert inputs.get("location") == location


async def test_the_api_version_is_noted() -> None:
    assert (await filled_in())["azureApiVersion"] == "2024-01-01"
    assert "azureApiVersion" not in await filled_in(BLOB)


async def test_a_vault_secrets_value_becomes_secret() -> None:
    inputs = await filled_in(SECRET, news={"properties": {"value": "x", "contentType": "y"}})

    assert inputs["properties"] == {"value": Secret("x"), "contentType": "y"}
