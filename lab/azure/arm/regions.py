"""Azure's regions: their names, and which of them have availability zones."""

from lab.azure.arm.errors import AzureError
from lab.azure.arm.kinds import Request
from lab.azure.arm.resource_types import ResourceType
from lab.azure.arm.store import JsonObject

_NAMES = """
    australiaeast brazilsouth canadacentral centralindia centralus eastasia eastus eastus2
    francecentral germanywestcentral israelcentral italynorth japaneast koreacentral
    mexicocentral newzealandnorth northcentralus northeurope norwayeast polandcentral
    qatarcentral southafricanorth southcentralus southeastasia spaincentral swedencentral
    switzerlandnorth uaenorth uksouth ukwest westcentralus westeurope westus westus2 westus3
"""
_REGIONS = frozenset(_NAMES.split())

_WITHOUT_ZONES = frozenset({"northcentralus", "ukwest", "westcentralus", "westus"})


def normalised(location: str) -> str:
    """``West Europe`` and ``westeurope`` are the same region."""
    return location.replace(" ", "").lower()


def check_location(resource_type: ResourceType, inputs: JsonObject) -> None:
    """Raises an AzureError for a missing or unknown location."""
    if not resource_type.located:
        return
    location = inputs.get("location")
    if not location:
        message = "The location property is required for this definition."
        raise AzureError("LocationRequired", message)
    if normalised(location) not in _REGIONS:
        message = f"The provided location '{location}' is not available for resource type "
        message += f"'{resource_type.arm_type}'."
        raise AzureError("LocationNotAvailableForResourceType", message)


def check_zones(request: Request, zones: list[str]) -> None:
    """Raises an AzureError for zones that the request's region does not have."""
    for zone in zones:
        if zone not in ("1", "2", "3"):
            message = f"The zone '{zone}' of '{request.id}' is not one of 1, 2, 3."
            raise AzureError("InvalidAvailabilityZone", message)
    if zones and normalised(request.location) in _WITHOUT_ZONES:
        message = f"The location '{request.location}' does not support availability zones."
        raise AzureError("LocationNotSupportAvailabilityZones", message)
