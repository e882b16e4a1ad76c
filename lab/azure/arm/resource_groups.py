"""Microsoft.Resources: resource groups."""

from lab.azure.arm import naming
from lab.azure.arm.kinds import Kind, Request
from lab.azure.arm.properties import Properties

RESOURCE_GROUP = "azure-native:resources:ResourceGroup"


class ResourceGroupKind(Kind):
    """A group. The resource manager deletes what is in it, also what Pulumi doesn't know."""

    token = RESOURCE_GROUP
    properties = Properties(modelled=frozenset({"resourceGroupName", "location", "tags.*"}))

    def check(self, request: Request) -> None:
        naming.RESOURCE_GROUP.check(request.name)
