"""Scale sets: what of a model is refused, and which VMs come and go."""

import base64
import json
from typing import Any

import pytest

from lab.azure.compute.scale_sets import is_current
from lab.azure.compute.vm_records import free_addresses
from tests.unit.lab.azure.azure import (
    BALANCER,
    EVERYTHING_BUT_VMS,
    IDENTITY,
    SCALE_SET,
    SUBNET,
    Azure,
    scale_set,
)
from tests.unit.lab.azure.conftest import refusal

VMSS = "compute:VirtualMachineScaleSet"


@pytest.fixture
async def ready(azure: Azure) -> Azure:
    await azure.create_all(*EVERYTHING_BUT_VMS)
    return azure


async def test_creation_boots_the_vms(ready: Azure) -> None:
    await ready.create(VMSS, **scale_set(3))

    assert ready.host.running() == [f"fleet-lab-core_{n}" for n in range(3)]
    vm = ready.host.containers["fleet-lab-core_1"].vm
    assert (vm.host_name, vm.address) == ("core000001", "10.20.0.5")
    assert vm.network == "fleet-lab-fleet"


async def test_a_vm_finds_what_azure_provisions_it_with(ready: Azure) -> None:
    await ready.create(VMSS, **scale_set(1, custom_data="#cloud-config\nhello: there\n"))

    files = ready.host.containers["fleet-lab-core_0"].vm.files
    assert json.loads(files["/var/lib/lab-provisioning/ovf.json"]) == {
        "computerName": "core000000",
        "adminUsername": "core",
        "sshPublicKeys": ["ssh-ed25519 AAAA"],
        "privateIp": "10.20.0.4",
    }
    assert files["/var/lib/lab-provisioning/CustomData"] == b"#cloud-config\nhello: there\n"
    assert files["/usr/local/share/ca-certificates/lab.crt"] == b"the lab's certificate"


async def test_custom_data_is_never_given_back(ready: Azure) -> None:
    made = await ready.create(VMSS, **scale_set(1, custom_data="#cloud-config\nhush: true\n"))

    encoded = base64.b64encode(b"#cloud-config\nhush: true\n").decode()
    assert encoded not in str(made.inputs) + str(made.outputs)


async def test_identities_go_in_as_a_list_and_come_back_as_a_map(ready: Azure) -> None:
    made = await ready.create(VMSS, **scale_set(0))

    shown = made.outputs["identity"]["userAssignedIdentities"]
    assert set(shown[IDENTITY]) == {"clientId", "principalId"}


async def test_a_step_up_starts_just_the_difference(ready: Azure) -> None:
    await ready.create(VMSS, **scale_set(1))

    await ready.update(VMSS, **scale_set(3))

    starts = {name: each.starts for name, each in ready.host.containers.items()}
    assert starts == {f"fleet-lab-core_{n}": 1 for n in range(3)}


@pytest.mark.parametrize(
    ("policy", "left"),
    [("Default", [0]), ("NewestVM", [0]), ("OldestVM", [2])],
)
async def test_a_step_down_follows_the_policy(ready: Azure, policy: str, left: list[int]) -> None:
    rules = {"scaleInPolicy": {"rules": [policy]}}
    await ready.create(VMSS, **scale_set(3), **rules)

    await ready.update(VMSS, **scale_set(1), **rules)

    assert [each.index for each in ready.vms()] == left
    assert set(ready.host.disks) == {f"fleet-lab-core_{left[0]}/0"}


async def test_numbers_of_vms_are_not_reused(ready: Azure) -> None:
    for capacity in (3, 1, 2):
        await (ready.update if ready.vms() else ready.create)(VMSS, **scale_set(capacity))

    assert [each.name for each in ready.vms()] == ["core_0", "core_3"]


async def test_vms_are_spread_over_zones(ready: Azure) -> None:
    await ready.create(VMSS, **scale_set(3), zones=["1", "2"])

    assert [each.zone for each in ready.vms()] == ["1", "2", "1"]


async def test_a_new_model_reaches_new_vms_only(ready: Azure) -> None:
    await ready.create(VMSS, **scale_set(1))

    changed = await ready.update(VMSS, **scale_set(2, custom_data="#cloud-config\nnew: true\n"))

    old, new = ready.vms()
    assert (is_current(changed, old), is_current(changed, new)) == (False, True)


async def test_a_reimaged_vm_has_the_new_model_and_its_old_disk(ready: Azure) -> None:
    await ready.create(VMSS, **scale_set(1))
    changed = await ready.update(VMSS, **scale_set(1, custom_data="#cloud-config\nnew: true\n"))
    disks = dict(ready.host.disks)

    await ready.cloud.scale_sets.reimage(ready.vms()[0])

    vm = ready.vms()[0]
    files = ready.host.containers[vm.container].vm.files
    assert is_current(changed, vm)
    assert files["/var/lib/lab-provisioning/CustomData"] == b"#cloud-config\nnew: true\n"
    assert ready.host.disks == disks


async def test_vms_that_are_never_provisioned_are_reported_and_removed(ready: Azure) -> None:
    ready.host.broken.add("fleet-lab-core_1")

    error = await refusal(ready.create(VMSS, **scale_set(2)))

    assert error.code == "OSProvisioningTimedOut"
    assert "the VM's last words" in error.message
    assert ready.host.containers == {}
    assert ready.vms() == []


async def test_deletion_takes_vms_and_disks(ready: Azure) -> None:
    await ready.create(VMSS)

    await ready.cloud.manager.delete(SCALE_SET)

    assert (ready.host.containers, ready.host.disks, ready.vms()) == ({}, {}, [])


def _profile(**changes: Any) -> dict[str, Any]:
    """The default model with other values at dotted paths (list indices as numbers)."""
    arguments = scale_set()
    for path, value in changes.items():
        *parents, last = path.split("__")
        holder: Any = arguments["virtualMachineProfile"]
        for name in parents:
            holder = holder[int(name)] if name.isdecimal() else holder[name]
        holder[last] = value
    return arguments


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"orchestrationMode": None}, "orchestrationMode"),
        ({"orchestrationMode": "Flexible"}, "orchestrationMode"),
        ({"overprovision": None}, "overprovision"),
        ({"upgradePolicy": None}, "upgradePolicy.mode"),
        ({"upgradePolicy": {"mode": "Rolling"}}, "upgradePolicy.mode"),
        ({"sku": {"name": "Huge", "capacity": 1}}, "VM size"),
        ({"sku": {"name": "Standard_D2ps_v5", "capacity": 1}}, "is Arm64"),
        ({"automaticRepairsPolicy": {"enabled": True}}, "automaticRepairsPolicy"),
        ({"zones": ["9"]}, "zone"),
        (_profile(osProfile__customData="%%%"), "Base64"),
        (_profile(osProfile__customData=_encoded("#!/bin/sh\n")), "#cloud-config"),
        (_profile(osProfile__customData=_encoded("#cloud-config \n")), "#cloud-config"),
        (_profile(osProfile__customData=_encoded("#cloud-config\n" + "x" * 65536)), "65536"),
        (_profile(osProfile__adminPassword="hush"), "adminPassword"),
        (_profile(osProfile__adminUsername="root"), "admin user name"),
        (
            _profile(osProfile__linuxConfiguration__disablePasswordAuthentication=False),
            "disablePasswordAuthentication",
        ),
        (_profile(storageProfile__imageReference__offer="ubuntu"), "image"),
        (_profile(storageProfile__imageReference__version="newest"), "version"),
        (_profile(storageProfile__dataDisks__0__lun=64), "lun"),
        (_profile(networkProfile__healthProbe={"id": f"{BALANCER}/probes/none"}), "not found"),
        (
            _profile(
                networkProfile__networkInterfaceConfigurations__0__networkSecurityGroup={"id": "/x"}
            ),
            "not found",
        ),
        ({"identity": {"type": "UserAssigned", "userAssignedIdentities": ["/x"]}}, "not found"),
        ({"identity": {"type": "SystemAssigned"}}, "identity.type"),
    ],
)
async def test_a_model_that_is_refused(
    ready: Azure, changes: dict[str, Any], expected: str
) -> None:
    error = await refusal(ready.create(VMSS, **changes))

    assert expected in error.message
    assert ready.host.containers == {}


async def test_a_health_probe_must_be_used_by_a_rule(ready: Azure) -> None:
    probes = [
        {"name": "router", "protocol": "Tcp", "port": 80},
        {"name": "idle", "protocol": "Tcp", "port": 81},
    ]
    await ready.update("network:LoadBalancer", probes=probes)

    error = await refusal(
        ready.create(
            VMSS, **_profile(networkProfile__healthProbe={"id": f"{BALANCER}/probes/idle"})
        )
    )

    assert error.code == "CannotUseInactiveHealthProbe"


async def test_zones_can_be_added_but_not_removed(ready: Azure) -> None:
    await ready.create(VMSS, **scale_set(0), zones=["1", "2"])

    await ready.update(VMSS, **scale_set(0), zones=["1", "2", "3"])
    error = await refusal(ready.update(VMSS, **scale_set(0), zones=["1"]))

    assert error.code == "PropertyChangeNotAllowed"


async def test_the_admin_user_cannot_be_changed(ready: Azure) -> None:
    await ready.create(VMSS, **scale_set(0))
    changed = _profile(osProfile__computerNamePrefix="node") | {"sku": scale_set(0)["sku"]}

    error = await refusal(ready.update(VMSS, **changed))

    assert error.code == "PropertyChangeNotAllowed"


async def test_vms_get_the_lowest_free_addresses_above_the_reserved(azure: Azure) -> None:
    await azure.create_all(*EVERYTHING_BUT_VMS, "compute:VirtualMachineScaleSet")
    subnet = azure.store.get(SUBNET)
    assert subnet is not None

    free = list(free_addresses(azure.store, subnet))

    assert [each.address for each in azure.vms()] == ["10.20.0.4", "10.20.0.5"]
    assert (free[0], free[-1]) == ("10.20.0.6", "10.20.0.254")
