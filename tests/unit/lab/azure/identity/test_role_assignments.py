"""Role assignments as the resource manager takes them."""

import uuid
from typing import Any

import pytest

from lab.azure.arm.subscription import DEPLOYER_OBJECT_ID
from tests.unit.lab.azure.azure import ROLES, Azure
from tests.unit.lab.azure.conftest import refusal

ASSIGNMENT = "authorization:RoleAssignment"
SOMEBODY = "9a1b9a34-0000-4000-8000-000000000009"


@pytest.fixture
async def principal(azure: Azure) -> str:
    """A fresh identity, and a container to give it rights on."""
    await azure.create_all(
        "resources:ResourceGroup", "storage:StorageAccount", "storage:BlobContainer"
    )
    identity = await azure.create("managedidentity:UserAssignedIdentity")
    return str(identity.outputs["principalId"])


async def test_a_fresh_identity_is_found_only_with_its_type(azure: Azure, principal: str) -> None:
    error = await refusal(azure.create(ASSIGNMENT, principalId=principal))
    assignment = await azure.create(
        ASSIGNMENT, principalId=principal, principalType="ServicePrincipal"
    )

    assert error.code == "PrincipalNotFound"
    assert assignment.private["createdAt"] > 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"roleAssignmentName": "mine"}, "InvalidRoleAssignmentId"),
        ({"principalId": "me"}, "InvalidPrincipalId"),
        ({"principalType": "User"}, "UnmatchedPrincipalType"),
        ({"principalId": SOMEBODY}, "PrincipalNotFound"),
        ({"roleDefinitionId": "Reader"}, "InvalidRoleDefinitionId"),
        ({"roleDefinitionId": f"{ROLES}/{uuid.UUID(int=0)}"}, "RoleDefinitionDoesNotExist"),
        ({"scope": "/subscriptions/another"}, "SubscriptionNotFound"),
        ({"condition": "@Resource"}, "NotModelled"),
    ],
)
async def test_invalid_resources_are_refused_as_by_azure(
    azure: Azure, principal: str, changes: dict[str, Any], code: str
) -> None:
    inputs = {"principalId": principal, "principalType": "ServicePrincipal"} | changes

    error = await refusal(azure.create(ASSIGNMENT, **inputs))

    assert error.code == code


@pytest.mark.parametrize(
    ("whose", "type_"), [(SOMEBODY, "User"), (DEPLOYER_OBJECT_ID, "ServicePrincipal")]
)
async def test_a_known_principal_needs_no_type(
    azure: Azure, principal: str, whose: str, type_: str
) -> None:
    assert principal
    assignment = await azure.create(ASSIGNMENT, principalId=whose)

    assert assignment.outputs["principalType"] == type_


async def test_the_deployer_is_a_service_principal(azure: Azure, principal: str) -> None:
    """The program's default, User, would be refused for a pipeline's login."""
    assert principal
    error = await refusal(
        azure.create(ASSIGNMENT, principalId=DEPLOYER_OBJECT_ID, principalType="User")
    )

    assert error.code == "UnmatchedPrincipalType"


async def test_the_same_right_twice_is_refused(azure: Azure, principal: str) -> None:
    right = {"principalId": principal, "principalType": "ServicePrincipal"}
    await azure.create(ASSIGNMENT, **right)

    error = await refusal(
        azure.create(ASSIGNMENT, roleAssignmentName=str(uuid.UUID(int=7)), **right)
    )

    assert error.code == "RoleAssignmentExists"
