"""The resource types of Microsoft.Compute."""

from lab.azure.arm.resource_types import GROUP_ID, resource_type

SCALE_SET = "azure-native:compute:VirtualMachineScaleSet"

TYPES = (
    resource_type(
        SCALE_SET,
        "Microsoft.Compute/virtualMachineScaleSets",
        f"{GROUP_ID}/providers/Microsoft.Compute/virtualMachineScaleSets/{{vmScaleSetName}}",
        "2024-11-01",
        write_only=(
            "virtualMachineProfile.osProfile.customData",
            "virtualMachineProfile.osProfile.adminPassword",
            "virtualMachineProfile.userData",
        ),
        secret=("virtualMachineProfile.osProfile.adminPassword",),
    ),
)
