"""The resource types of Microsoft.ManagedIdentity and Microsoft.Authorization."""

from lab.azure.arm.resource_types import GROUP_ID, AutoName, resource_type

IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
ROLE_ASSIGNMENT = "azure-native:authorization:RoleAssignment"

GET_CLIENT_CONFIG = "azure-native:authorization:getClientConfig"

TYPES = (
    resource_type(
        IDENTITY,
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        f"{GROUP_ID}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{{resourceName}}",
        "2023-01-31",
    ),
    resource_type(
        ROLE_ASSIGNMENT,
        "Microsoft.Authorization/roleAssignments",
        "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        "2022-04-01",
        autoname=AutoName.UUID,
        replace_on=(
            *("principalId", "principalType", "roleDefinitionId", "condition"),
            *("conditionVersion", "description", "delegatedManagedIdentityResourceId"),
        ),
        located=False,
    ),
)
