"""The resource types of Microsoft.Network."""

from lab.azure.arm.resource_types import GROUP_ID, AutoName, ResourceType, resource_type

VIRTUAL_NETWORK = "azure-native:network:VirtualNetwork"
SUBNET = "azure-native:network:Subnet"
SECURITY_GROUP = "azure-native:network:NetworkSecurityGroup"
PUBLIC_ADDRESS = "azure-native:network:PublicIPAddress"
NAT_GATEWAY = "azure-native:network:NatGateway"
LOAD_BALANCER = "azure-native:network:LoadBalancer"

_API_VERSION = "2024-05-01"


def _type(
    token: str,
    arm_name: str,
    name: str,
    *,
    replace_on: tuple[str, ...] = (),
    standalone_lists: tuple[str, ...] = (),
) -> ResourceType:
    """A resource directly in its group."""
    arm_type = f"Microsoft.Network/{arm_name}"
    return resource_type(
        token,
        arm_type,
        f"{GROUP_ID}/providers/{arm_type}/{{{name}}}",
        _API_VERSION,
        replace_on=replace_on,
        standalone_lists=standalone_lists,
    )


TYPES = (
    _type(
        VIRTUAL_NETWORK,
        "virtualNetworks",
        "virtualNetworkName",
        standalone_lists=("subnets", "virtualNetworkPeerings"),
    ),
    resource_type(
        SUBNET,
        "Microsoft.Network/virtualNetworks/subnets",
        f"{GROUP_ID}/providers/Microsoft.Network/virtualNetworks/{{virtualNetworkName}}"
        "/subnets/{subnetName}",
        _API_VERSION,
        autoname=AutoName.COPY,
        located=False,
    ),
    _type(
        SECURITY_GROUP,
        "networkSecurityGroups",
        "networkSecurityGroupName",
        standalone_lists=("securityRules",),
    ),
    _type(
        PUBLIC_ADDRESS,
        "publicIPAddresses",
        "publicIpAddressName",
        replace_on=("publicIPAddressVersion", "publicIPPrefix", "sku"),
    ),
    _type(NAT_GATEWAY, "natGateways", "natGatewayName"),
    _type(
        LOAD_BALANCER,
        "loadBalancers",
        "loadBalancerName",
        standalone_lists=("backendAddressPools", "inboundNatRules"),
    ),
)
