"""Microsoft.Network: virtual networks and their subnets.

A virtual network is a Docker network with its whole address space. A subnet is a range of it, from
which VMs get their addresses.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from itertools import islice

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.references import require, users
from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.host.interface import Host, Network, NetworkOverlap
from lab.azure.host.platform_addresses import PLATFORM
from lab.azure.network.resource_types import NAT_GATEWAY, SECURITY_GROUP, SUBNET, VIRTUAL_NETWORK

# Azure keeps the first four addresses of a subnet (network, gateway, two for DNS) and the last.
RESERVED_AT_START = 4
SMALLEST_PREFIX = 29
# https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
FORBIDDEN_RANGES = tuple(
    map(
        IPv4Network,
        ("224.0.0.0/4", "255.255.255.255/32", "127.0.0.0/8", "169.254.0.0/16", f"{PLATFORM}/32"),
    )
)

# An operation on a subnet takes Azure seconds, and Azure refuses a second one on the same network
# meanwhile. This delay is long enough that a program without an order of its subnets always fails.
OPERATION_SECONDS = 0.3


class NetworkOperations:
    """Allows one operation at a time in a virtual network with its subnets."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    @asynccontextmanager
    async def on(self, network_id: str) -> AsyncIterator[None]:
        key = network_id.lower()
        if key in self._busy:
            message = (
                f"Another operation on this or dependent resource is in progress: {network_id}. "
                "Operations on subnets of one virtual network must follow one another."
            )
            raise AzureError("AnotherOperationInProgress", message, 409)
        self._busy.add(key)
        try:
            await asyncio.sleep(OPERATION_SECONDS)
            yield
        finally:
            self._busy.discard(key)


class VirtualNetworkKind(Kind):
    token = VIRTUAL_NETWORK
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "virtualNetworkName",
                "location",
                "tags.*",
                "addressSpace.addressPrefixes",
            }
        ),
        only={"enableDdosProtection": (False,), "enableVmProtection": (False,)},
    )

    def __init__(self, store: Store, host: Host, operations: NetworkOperations) -> None:
        super().__init__(store)
        self._host = host
        self._operations = operations

    def check(self, request: Request) -> None:
        naming.VIRTUAL_NETWORK.check(request.name)
        space = _address_space(request)
        for subnet in subnets(self.store, request.id):
            if not _range(subnet.inputs).subnet_of(space):
                message = f"Address prefix {_range(subnet.inputs)} of subnet '{subnet.name}' is "
                message += f"not contained in the address space {space} of '{request.name}'."
                raise AzureError("NetcfgSubnetRangeOutsideVnet", message)
        if request.before and _space(request.before.inputs) != space:
            raise not_modelled(f"changing the address space of a virtual network ({request.id})")
        for other in self.store.list(VIRTUAL_NETWORK):
            if other.id.lower() == request.id.lower():
                continue
            if other.name.lower() == request.name.lower() or _space(other.inputs).overlaps(space):
                # Azure allows it; here both are bridges of one computer.
                raise not_modelled(
                    f"two virtual networks with one name or range: '{request.name}' {space} and "
                    f"{other.id} {_space(other.inputs)}. Give each stack its own range"
                )

    async def write(self, request: Request) -> Answer:
        async with self._operations.on(request.id):
            try:
                await self._host.create_network(docker_network(request.id, request.inputs))
            except NetworkOverlap as overlap:
                message = f"{overlap}. Choose another range for the stack in its config."
                raise AzureError("NetcfgInvalidVirtualNetworkSite", message) from overlap
        return Answer(outputs={"subnets": [], "enableDdosProtection": False})

    def check_delete(self, resource: Resource) -> None:
        for subnet in subnets(self.store, resource.id):
            refuse_if_in_use(self.store, subnet)

    async def remove(self, resource: Resource) -> None:
        await self._host.remove_network(network_name(resource.id))


class SubnetKind(Kind):
    token = SUBNET
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "virtualNetworkName",
                "subnetName",
                "name",
                "addressPrefix",
                "addressPrefixes",
                "networkSecurityGroup.id",
                "natGateway.id",
                "defaultOutboundAccess",
                "serviceEndpoints.service",
                "serviceEndpoints.locations",
            }
        ),
        inert={
            "privateEndpointNetworkPolicies": "there are no private endpoints in the lab",
            "privateLinkServiceNetworkPolicies": "there are no private link services in the lab",
        },
    )

    def __init__(self, store: Store, operations: NetworkOperations) -> None:
        super().__init__(store)
        self._operations = operations

    def check(self, request: Request) -> None:
        naming.SUBNET.check(request.name)
        network = self._network(request.id)
        wanted = _range(request.inputs)
        self._check_range(request, network, wanted)
        for endpoint in request.inputs.get("serviceEndpoints") or []:
            if endpoint.get("service") not in ("Microsoft.Storage", "Microsoft.KeyVault"):
                raise not_modelled(f"the service endpoint {endpoint.get('service')!r}")
        in_region = Request(
            id=request.id,
            path=request.path,
            inputs={"location": network.inputs["location"]},
            before=None,
        )
        if group := request.inputs.get("networkSecurityGroup"):
            require(self.store, group["id"], SECURITY_GROUP, in_region)
        if gateway := request.inputs.get("natGateway"):
            require(self.store, gateway["id"], NAT_GATEWAY, in_region)

    async def write(self, request: Request) -> Answer:
        async with self._operations.on(_network_id(request.id)):
            return Answer()

    def check_delete(self, resource: Resource) -> None:
        refuse_if_in_use(self.store, resource)

    async def remove(self, resource: Resource) -> None:
        async with self._operations.on(_network_id(resource.id)):
            return

    def _network(self, id: str) -> Resource:
        network = self.store.get(_network_id(id))
        assert network is not None, "the resource manager checks parents first"
        return network

    def _check_range(self, request: Request, network: Resource, wanted: IPv4Network) -> None:
        if wanted.prefixlen > SMALLEST_PREFIX:
            message = f"Address prefix {wanted} of subnet '{request.name}' is smaller than "
            message += f"/{SMALLEST_PREFIX}: Azure reserves five addresses."
            raise AzureError("NetcfgInvalidSubnet", message)
        if not wanted.subnet_of(_space(network.inputs)):
            message = f"Subnet '{request.name}' is not valid in virtual network '{network.name}': "
            message += f"{wanted} is outside {_space(network.inputs)}."
            raise AzureError("NetcfgInvalidSubnet", message)
        for other in subnets(self.store, network.id):
            if other.id.lower() == request.id.lower():
                if _range(other.inputs) != wanted and users(self.store, other.id):
                    message = f"Subnet {other.name} is in use and cannot be updated."
                    raise AzureError("InUseSubnetCannotBeUpdated", message)
            elif _range(other.inputs).overlaps(wanted):
                message = f"Subnet '{request.name}' is not valid in virtual network "
                message += f"'{network.name}': {wanted} overlaps subnet '{other.name}'."
                raise AzureError("NetcfgInvalidSubnet", message)


def subnets(store: Store, network_id: str) -> tuple[Resource, ...]:
    return store.list(SUBNET, f"{network_id}/subnets/")


def usable_addresses(subnet: Resource) -> Iterator[str]:
    """The subnet's addresses that Azure does not reserve, lowest first."""
    whole = _range(subnet.inputs)
    yield from map(str, islice(whole, RESERVED_AT_START, whole.num_addresses - 1))


def refuse_if_in_use(store: Store, subnet: Resource) -> None:
    used_by = [user.id for user in users(store, subnet.id) if not user.within(subnet.id)]
    if used_by:
        message = (
            f"Subnet {subnet.name} is in use by {used_by[0]} and cannot be deleted. In order to "
            "delete the subnet, delete all the resources within the subnet."
        )
        raise AzureError("InUseSubnetCannotBeDeleted", message)


def network_name(network_id: str) -> str:
    """The Docker network of a virtual network."""
    return f"fleet-lab-{network_id.rsplit('/', 1)[-1]}".lower()


def docker_network(network_id: str, inputs: JsonObject) -> Network:
    space = _space(inputs)
    # Azure reserves .1 and .2 of the space in a subnet that starts there; no other contains them.
    return Network(
        name=network_name(network_id),
        resource_id=network_id,
        cidr=str(space),
        gateway=str(space[1]),
        own_address=str(space[2]),
    )


def _network_id(subnet_id: str) -> str:
    return re.sub(r"(?i)/subnets/[^/]+$", "", subnet_id)


def _address_space(request: Request) -> IPv4Network:
    prefixes = (request.inputs.get("addressSpace") or {}).get("addressPrefixes") or []
    if not prefixes:
        message = f"Virtual network '{request.name}' has no address space."
        raise AzureError("InvalidRequestFormat", message)
    if len(prefixes) > 1:
        raise not_modelled("virtual networks with several address prefixes")
    space = _cidr(prefixes[0])
    if not 8 <= space.prefixlen <= SMALLEST_PREFIX:
        message = f"The address space {space} is not between /8 and /{SMALLEST_PREFIX}."
        raise AzureError("InvalidCIDRNotation", message)
    if any(space.overlaps(one) for one in FORBIDDEN_RANGES):
        message = f"The address space {space} overlaps a range that Azure keeps: "
        message += f"{', '.join(map(str, FORBIDDEN_RANGES))}."
        raise AzureError("InvalidCIDRNotation", message)
    return space


def _space(inputs: JsonObject) -> IPv4Network:
    return _cidr(inputs["addressSpace"]["addressPrefixes"][0])


def _range(inputs: JsonObject) -> IPv4Network:
    prefixes = inputs.get("addressPrefixes") or [inputs.get("addressPrefix")]
    if len(prefixes) > 1:
        raise not_modelled("subnets with several address prefixes")
    if not prefixes[0]:
        raise AzureError("InvalidRequestFormat", "The subnet has no address prefix.")
    return _cidr(prefixes[0])


def _cidr(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        message = f"The address prefix '{text}' is not a valid IPv4 CIDR: {error}."
        raise AzureError("InvalidCIDRNotation", message) from error
