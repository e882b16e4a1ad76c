"""Microsoft.Resources: resource groups."""

from lab.azure.arm import naming
from lab.azure.arm.kinds import Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.resource_types import GROUP_ID, resource_type

RESOURCE_GROUP = "azure-native:resources:ResourceGroup"

TYPES = (
    resource_type(RESOURCE_GROUP, "Microsoft.Resources/resourceGroups", GROUP_ID, "2024-03-01"),
)


class ResourceGroupKind(Kind):
    """The resource manager deletes everything in a group, also what Pulumi does not know."""

    token = RESOURCE_GROUP
    properties = Properties(modelled=frozenset({"resourceGroupName", "location", "tags.*"}))

    def check(self, request: Request) -> None:
        naming.RESOURCE_GROUP.check(request.name)
