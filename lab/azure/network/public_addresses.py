"""Microsoft.Network: public IP addresses, and the NAT gateways that use them.

A public address is a loopback address of the computer that the lab runs on, so that nothing that is
"public" in the lab can be reached from elsewhere.
"""

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.references import require, users
from lab.azure.arm.regions import check_zones, normalised
from lab.azure.arm.store import Resource, Store
from lab.azure.network.resource_types import NAT_GATEWAY, PUBLIC_ADDRESS

# 127.0.0.0/16 is for this computer's own programs; the last /16 contains the broadcast address.
_FIRST = int(IPv4Address("127.1.0.1"))
_COUNT = int(IPv4Address("127.254.255.254")) - _FIRST

_IDLE_MINUTES = range(4, 31)  # REST: "The value can be set between 4 and 30 minutes" for addresses
_NAT_IDLE_MINUTES = range(4, 121)


class PublicAddressKind(Kind):
    token = PUBLIC_ADDRESS
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "publicIpAddressName",
                "location",
                "tags.*",
                "sku.name",
                "publicIPAllocationMethod",
                "dnsSettings.domainNameLabel",
                "zones",
            }
        ),
        only={
            "sku.tier": ("Regional",),
            "publicIPAddressVersion": ("IPv4",),
            "deleteOption": ("Delete", "Detach"),
        },
        inert={
            "idleTimeoutInMinutes": "load balancing rules and NAT gateways have their own timeouts",
        },
    )

    def check(self, request: Request) -> None:
        naming.NETWORK_RESOURCE.check(request.name)
        check_zones(request, request.inputs.get("zones") or [])
        sku = (request.inputs.get("sku") or {}).get("name", "Basic")
        if sku != "Standard":
            message = f"Public IP address '{request.name}' has the sku '{sku}'. Basic public IP "
            message += "addresses are retired (September 2025): use Standard."
            raise AzureError("IPv4BasicSkuPublicIpCountLimitReached", message)
        if request.inputs.get("publicIPAllocationMethod") != "Static":
            message = f"Standard sku public IP address '{request.name}' must be Static."
            raise AzureError("StandardSkuPublicIPAddressesMustBeStatic", message)
        minutes = request.inputs.get("idleTimeoutInMinutes", 4)
        if minutes not in _IDLE_MINUTES:
            message = f"Idle timeout {minutes} of '{request.name}' is not within 4 to 30 minutes."
            raise AzureError("InvalidIdleTimeout", message)
        if request.before and (request.before.inputs.get("zones") or []) != (
            request.inputs.get("zones") or []
        ):
            message = f"Resource {request.id} has an existing availability zone constraint."
            raise AzureError("ResourceAvailabilityZonesCannotBeModified", message)
        self._check_label(request)

    async def write(self, request: Request) -> Answer:
        taken = {
            other.outputs["ipAddress"]
            for other in self.store.list(PUBLIC_ADDRESS)
            if other.id.lower() != request.id.lower()
        }
        outputs = {"ipAddress": loopback_address(request.id, taken)}
        if label := _label(request):
            location = normalised(request.location)
            fqdn = f"{label}.{location}.cloudapp.azure.com"
            settings = {"domainNameLabel": label, "fqdn": fqdn}
            return Answer(outputs={**outputs, "dnsSettings": settings})
        return Answer(outputs=outputs)

    def check_delete(self, resource: Resource) -> None:
        if used := users(self.store, resource.id):
            message = f"Public IP address {resource.id} can not be deleted since it is still "
            message += f"allocated to resource {used[0].id}."
            raise AzureError("PublicIPAddressCannotBeDeleted", message)

    def _check_label(self, request: Request) -> None:
        label = _label(request)
        if label is None:
            return
        naming.DOMAIN_NAME_LABEL.check(label)
        for other in self.store.list(PUBLIC_ADDRESS):
            settings = other.inputs.get("dnsSettings") or {}
            same_region = other.outputs["location"] == normalised(request.location)
            if other.id.lower() == request.id.lower() or not same_region:
                continue
            if settings.get("domainNameLabel") == label:
                message = f"DNS record {label}.{request.location}.cloudapp.azure.com is already "
                message += "used by another public IP."
                raise AzureError("DnsRecordInUse", message)


class NatGatewayKind(Kind):
    token = NAT_GATEWAY
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "natGatewayName",
                "location",
                "tags.*",
                "publicIpAddresses.id",
                "zones",
            }
        ),
        only={"sku.name": ("Standard",)},
        inert={"idleTimeoutInMinutes": "the host's own connection tracking ends idle flows"},
    )

    def check(self, request: Request) -> None:
        naming.NETWORK_RESOURCE.check(request.name)
        zones = request.inputs.get("zones") or []
        check_zones(request, zones)
        if len(zones) > 1:
            message = f"NAT gateway '{request.name}' can be in one zone or in none, not {zones}."
            raise AzureError("NatGatewayWithMultipleZonesNotSupported", message)
        if (request.inputs.get("sku") or {}).get("name") != "Standard":
            raise AzureError("InvalidRequestFormat", f"'{request.name}' needs the sku Standard.")
        minutes = request.inputs.get("idleTimeoutInMinutes", 4)
        if minutes not in _NAT_IDLE_MINUTES:
            message = f"Idle timeout {minutes} of '{request.name}' is not within 4 to 120 minutes."
            raise AzureError("InvalidIdleTimeout", message)
        for reference in request.inputs.get("publicIpAddresses") or []:
            address = require(self.store, reference["id"], PUBLIC_ADDRESS, request)
            check_free(self.store, address, request)
            # A gateway in a zone takes a zone-redundant address or one in its zone; a gateway
            # without a zone takes no address that is in a single zone.
            theirs = address.inputs.get("zones") or []
            if len(theirs) == 1 and theirs != zones:
                message = f"NAT gateway '{request.name}' in zones {zones} cannot use "
                message += f"{address.id} in zone {theirs[0]}."
                raise AzureError("NatGatewayAndPublicIpZonesMismatch", message)

    def check_delete(self, resource: Resource) -> None:
        if used := users(self.store, resource.id):
            message = f"NAT gateway {resource.name} is in use by subnet {used[0].id}: "
            message += "remove it from the subnet first."
            raise AzureError("InUseNatGatewayCannotBeDeleted", message)


def check_free(store: Store, address: Resource, request: Request) -> None:
    """Azure: a public address belongs to one resource at a time."""
    others = [user for user in users(store, address.id) if user.id.lower() != request.id.lower()]
    if others:
        message = f"Resource {request.id} is referencing public IP address {address.id} that is "
        message += f"already allocated to resource {others[0].id}."
        raise AzureError("PublicIPAddressInUse", message)


def loopback_address(resource_id: str, taken: Iterable[str]) -> str:
    """The same address for the same id, unless another resource has it already."""
    start = int.from_bytes(hashlib.sha256(resource_id.lower().encode()).digest()[:8], "big")
    used = set(taken)
    for step in range(_COUNT):
        address = IPv4Address(_FIRST + (start + step) % _COUNT)
        if str(address) not in used and address.packed[3] not in (0, 255):
            return str(address)
    raise AzureError("PublicIPCountLimitReached", "No loopback address is left.")


def _label(request: Request) -> str | None:
    label: str | None = (request.inputs.get("dnsSettings") or {}).get("domainNameLabel")
    return label
