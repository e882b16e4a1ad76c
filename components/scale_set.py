"""The nodes: a scale set of Flatcar machines that boot from one cloud-config.

Azure starts and replaces nodes, but never changes a running one: the upgrade mode is manual, and
new custom data reaches only new or reimaged nodes.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import compute

ADMIN = "core"
"""Flatcar's administrator account."""
ETCD_DISK_GB = 16
OS_DISK_GB = 64
"""Gigabytes, with room for images: Flatcar itself needs 10."""


@dataclass(kw_only=True, frozen=True)
class ScaleSetArgs:
    resource_group_name: pulumi.Input[str]
    nodes: int
    vm_size: str
    zones: Sequence[str]
    """Availability zones. Empty: fault domains."""
    image_version: str
    subnet_id: pulumi.Input[str]
    backend_pool_id: pulumi.Input[str]
    identity_id: pulumi.Input[str]
    admin_public_key: pulumi.Input[str]
    cloud_config: pulumi.Input[str]
    after: Sequence[pulumi.Resource]
    """Resources that a node uses when it boots."""


class ScaleSet(pulumi.ComponentResource):
    """Outputs: `machines`, the scale set itself, and its `scale_set_name`."""

    machines: compute.VirtualMachineScaleSet
    scale_set_name: pulumi.Output[str]

    def __init__(self, name: str, args: ScaleSetArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:ScaleSet", name, {}, opts)

        self.machines = compute.VirtualMachineScaleSet(
            f"{name}-core",
            resource_group_name=args.resource_group_name,
            orchestration_mode=compute.OrchestrationMode.UNIFORM,
            sku=compute.SkuArgs(name=args.vm_size, tier="Standard", capacity=args.nodes),
            # By default Azure starts extra machines and deletes the surplus, which breaks etcd.
            overprovision=False,
            upgrade_policy=compute.UpgradePolicyArgs(mode=compute.UpgradeMode.MANUAL),
            scale_in_policy=compute.ScaleInPolicyArgs(
                rules=[compute.VirtualMachineScaleSetScaleInRules.NEWEST_VM]
            ),
            zones=sorted(args.zones) or None,
            zone_balance=False if args.zones else None,
            # With five fault domains, Azure places nodes on different racks where it can.
            platform_fault_domain_count=1 if args.zones else 5,
            identity=compute.VirtualMachineScaleSetIdentityArgs(
                type=compute.ResourceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[args.identity_id],
            ),
            virtual_machine_profile=compute.VirtualMachineScaleSetVMProfileArgs(
                os_profile=_os_profile(args),
                storage_profile=_storage_profile(args),
                network_profile=_network_profile(args),
                # the serial console's output, for a node that does not boot
                diagnostics_profile=compute.DiagnosticsProfileArgs(
                    boot_diagnostics=compute.BootDiagnosticsArgs(enabled=True)
                ),
            ),
            # set on the child, because children don't inherit a component's dependencies
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                hooks=pulumi.ResourceHookBinding(
                    before_update=[
                        pulumi.ResourceHook(
                            "fewer-machines",
                            refuse_fewer_machines,
                            pulumi.ResourceHookOptions(on_dry_run=True),
                        )
                    ]
                ),
            ),
        )

        self.scale_set_name = self.machines.name
        self.register_outputs({"scale_set_name": self.scale_set_name})


def refuse_fewer_machines(args: pulumi.ResourceHookArgs) -> None:
    """The engine calls it before it changes the scale set, and at preview. Raises ValueError."""
    assert args.old_inputs is not None
    assert args.new_inputs is not None
    before, wanted = (
        int(inputs["sku"]["capacity"]) for inputs in (args.old_inputs, args.new_inputs)
    )
    if wanted < before:
        raise ValueError(
            f"fleet:nodes = {wanted}: must not be less than {before}, the current number: etcd "
            "would count the removed nodes as dead members. The scale set was not changed. "
            "docs/operations.md#more-or-fewer-machines describes a manual way"
        )


def _os_profile(args: ScaleSetArgs) -> compute.VirtualMachineScaleSetOSProfileArgs:
    return compute.VirtualMachineScaleSetOSProfileArgs(
        computer_name_prefix="core",
        admin_username=ADMIN,
        custom_data=pulumi.Output.from_input(args.cloud_config).apply(encoded),
        linux_configuration=compute.LinuxConfigurationArgs(
            disable_password_authentication=True,
            provision_vm_agent=True,
            ssh=compute.SshConfigurationArgs(
                public_keys=[
                    compute.SshPublicKeyArgs(
                        path=f"/home/{ADMIN}/.ssh/authorized_keys",
                        key_data=args.admin_public_key,
                    )
                ]
            ),
        ),
    )


def encoded(cloud_config: str) -> str:
    """Custom data as base64 of plain UTF-8: Flatcar's agent can't read gzip."""
    return base64.b64encode(cloud_config.encode()).decode()


def _storage_profile(args: ScaleSetArgs) -> compute.VirtualMachineScaleSetStorageProfileArgs:
    return compute.VirtualMachineScaleSetStorageProfileArgs(
        # an offer without a plan, so there are no terms to accept
        image_reference=compute.ImageReferenceArgs(
            publisher="kinvolk",
            offer="flatcar-container-linux-corevm-amd64",
            sku="stable-gen2",
            version=args.image_version,
        ),
        os_disk=compute.VirtualMachineScaleSetOSDiskArgs(
            create_option=compute.DiskCreateOptionTypes.FROM_IMAGE,
            caching=compute.CachingTypes.READ_ONLY,
            disk_size_gb=OS_DISK_GB,
            managed_disk=_premium(),
        ),
        # A disk for etcd: docker's writes must not delay etcd's, and a reimage keeps this disk.
        data_disks=[
            compute.VirtualMachineScaleSetDataDiskArgs(
                lun=0,
                create_option=compute.DiskCreateOptionTypes.EMPTY,
                caching=compute.CachingTypes.NONE,
                disk_size_gb=ETCD_DISK_GB,
                managed_disk=_premium(),
            )
        ],
    )


def _premium() -> compute.VirtualMachineScaleSetManagedDiskParametersArgs:
    return compute.VirtualMachineScaleSetManagedDiskParametersArgs(
        storage_account_type=compute.StorageAccountTypes.PREMIUM_LRS
    )


def _network_profile(args: ScaleSetArgs) -> compute.VirtualMachineScaleSetNetworkProfileArgs:
    return compute.VirtualMachineScaleSetNetworkProfileArgs(
        network_interface_configurations=[
            compute.VirtualMachineScaleSetNetworkConfigurationArgs(
                name="core",
                primary=True,
                ip_configurations=[
                    compute.VirtualMachineScaleSetIPConfigurationArgs(
                        name="core",
                        primary=True,
                        subnet=compute.ApiEntityReferenceArgs(id=args.subnet_id),
                        load_balancer_backend_address_pools=[
                            compute.SubResourceArgs(id=args.backend_pool_id)
                        ],
                    )
                ],
            )
        ]
    )
