"""Microsoft.Network: network security groups. What their rules mean is in nsg.py."""

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.references import names, users
from lab.azure.arm.store import Resource
from lab.azure.network import security_rules

SECURITY_GROUP = "azure-native:network:NetworkSecurityGroup"

_RULE = (
    "name description priority direction access protocol "
    "sourceAddressPrefix sourceAddressPrefixes sourcePortRange sourcePortRanges "
    "destinationAddressPrefix destinationAddressPrefixes destinationPortRange "
    "destinationPortRanges"
)


class SecurityGroupKind(Kind):
    token = SECURITY_GROUP
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "networkSecurityGroupName",
                "location",
                "tags.*",
                *(f"securityRules.{name}" for name in _RULE.split()),
            }
        )
    )

    def check(self, request: Request) -> None:
        naming.NETWORK_RESOURCE.check(request.name)
        rules = names(request.inputs, "securityRules")
        for name in rules:
            naming.NETWORK_RESOURCE.check(name)
            if rules.count(name) > 1:
                message = f"Two security rules of '{request.name}' are named '{name}'."
                raise AzureError("InvalidRequestFormat", message)
        security_rules.security_group(request.name, request.inputs)

    async def write(self, request: Request) -> Answer:
        rules = [
            {
                **rule,
                "id": request.child("securityRules", rule["name"]),
                "provisioningState": "Succeeded",
            }
            for rule in request.inputs.get("securityRules") or []
        ]
        return Answer(outputs={"securityRules": rules, "defaultSecurityRules": []})

    def check_delete(self, resource: Resource) -> None:
        if used := users(self.store, resource.id):
            message = f"Network security group {resource.name} cannot be deleted because it is "
            message += f"in use by {used[0].id}."
            raise AzureError("InUseNetworkSecurityGroupCannotBeDeleted", message)
