"""Azure's regions, as far as the lab knows them, and how their names are written."""

_NAMES = """
    australiaeast brazilsouth canadacentral centralindia centralus eastasia eastus eastus2
    francecentral germanywestcentral israelcentral italynorth japaneast koreacentral
    mexicocentral newzealandnorth northcentralus northeurope norwayeast polandcentral
    qatarcentral southafricanorth southcentralus southeastasia spaincentral swedencentral
    switzerlandnorth uaenorth uksouth ukwest westcentralus westeurope westus westus2 westus3
"""
LOCATIONS = frozenset(_NAMES.split())

# Regions without availability zones: a resource with zones is refused there.
WITHOUT_ZONES = frozenset({"northcentralus", "ukwest", "westcentralus", "westus"})


def normalised(location: str) -> str:
    """``West Europe`` and ``westeurope`` are the same region."""
    return location.replace(" ", "").lower()
