"""VMs after crashes, interruptions and faults."""

from typing import Any

import pytest

from lab.azure.api.faults import FaultInjection
from lab.azure.network.outages import Faults
from tests.unit.lab.azure.azure import EVERYTHING_BUT_VMS, SCALE_SET, Azure, scale_set
from tests.unit.lab.azure.conftest import refusal

VMSS = "compute:VirtualMachineScaleSet"
FIRST, SECOND = "fleet-lab-core_0", "fleet-lab-core_1"


@pytest.fixture
async def two(azure: Azure) -> Azure:
    await azure.create_all(*EVERYTHING_BUT_VMS, VMSS)
    return azure


async def heal(azure: Azure) -> None:
    await azure.cloud.lifecycle.heal(azure.cloud.scale_sets.reimage)


async def fault(azure: Azure, kind: str, target: str = "core-0", **more: object) -> dict[str, Any]:
    injection = FaultInjection(azure.store, azure.cloud.lifecycle, azure.cloud.scale_sets, Faults())
    return await injection.inject({"kind": kind, "target": target, **more})


async def test_a_vm_that_ended_unexpectedly_is_started_again(two: Azure) -> None:
    two.host.containers[FIRST].running = False

    await heal(two)

    assert two.host.running() == [FIRST, SECOND]


async def test_a_vm_without_its_container_is_created_again(two: Azure) -> None:
    del two.host.containers[FIRST]

    await heal(two)

    assert two.host.running() == [FIRST, SECOND]
    assert two.vms()[0].address == "10.20.0.4"


@pytest.mark.parametrize("kind", ["kill", "stop"])
async def test_a_vm_that_was_switched_off_stays_off(two: Azure, kind: str) -> None:
    await fault(two, kind)

    two.start()
    await two.cloud.resume()
    await heal(two)

    assert two.host.running() == [SECOND]


async def test_every_vm_runs_again_after_a_restart_of_the_host(two: Azure) -> None:
    two.host.networks.clear()
    for container in two.host.containers.values():
        container.running = False

    two.start()
    await two.cloud.resume()
    await heal(two)

    assert two.host.running() == [FIRST, SECOND]
    assert "fleet-lab-fleet" in two.host.networks


async def test_a_container_without_a_record_is_removed(two: Azure) -> None:
    two.store.delete(two.vms()[0].id)

    await heal(two)

    assert two.host.running() == [SECOND]


async def test_vms_of_a_scale_set_that_was_never_finished_are_removed(two: Azure) -> None:
    two.store.delete(SCALE_SET)

    two.start()
    await heal(two)

    assert (two.host.containers, two.vms()) == ({}, [])


async def test_one_vm_that_does_not_start_leaves_the_others_alone(
    two: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for container in two.host.containers.values():
        container.running = False
    start = two.host.start_vm

    async def not_the_first(name: str) -> None:
        if name == FIRST:
            raise OSError("no")
        await start(name)

    monkeypatch.setattr(two.host, "start_vm", not_the_first)

    await heal(two)

    assert two.host.running() == [SECOND]


async def test_a_vm_gets_its_packet_filter_at_every_start(two: Azure) -> None:
    two.host.commands.clear()

    await fault(two, "restart")

    assert (FIRST, ("nft", "-f", "/var/lib/lab-provisioning/filter.nft")) in two.host.commands


async def test_a_partition_cuts_off_from_the_vms_named(two: Azure) -> None:
    cut_off: dict[str, Any] = {"from": ["core-1"]}

    await fault(two, "partition", **cut_off)

    name, (*_, script) = two.host.commands[-1]
    assert name == FIRST
    assert "ip saddr { 10.20.0.5 } drop" in script


@pytest.mark.parametrize("target", ["core-1", "core_1", "core000001", SECOND, "10.20.0.5"])
async def test_a_vm_is_found_by_any_of_its_names(two: Azure, target: str) -> None:
    hit = await fault(two, "kill", target, stack="dev")

    assert hit["container"] == SECOND


async def test_an_unknown_target_is_refused_with_the_list_of_vms(two: Azure) -> None:
    error = await refusal(fault(two, "kill", "core-7"))
    elsewhere = await refusal(fault(two, "kill", "core-0", stack="another"))

    assert "VMs: core-0, core-1" in error.message
    assert "there are none" in elsewhere.message


async def test_an_unknown_fault_is_refused(two: Azure) -> None:
    error = await refusal(fault(two, "melt"))

    assert error.code == "InvalidFault"


async def test_services_can_be_switched_off_and_on(azure: Azure) -> None:
    services = Faults()
    injection = FaultInjection(azure.store, azure.cloud.lifecycle, azure.cloud.scale_sets, services)

    await injection.inject({"kind": "blob-down"})
    was_down = services.is_down("blob")
    await injection.inject({"kind": "blob-up"})

    assert (was_down, services.is_down("blob")) == (True, False)


async def test_a_creation_finds_the_remains_of_one_that_died(azure: Azure) -> None:
    await azure.create_all(*EVERYTHING_BUT_VMS)
    await azure.create(VMSS, **scale_set(3))
    azure.store.delete(SCALE_SET)

    await azure.create(VMSS, **scale_set(2))

    assert azure.host.running() == [FIRST, SECOND]


async def test_a_slow_service_is_healed(azure: Azure) -> None:
    services = Faults()
    injection = FaultInjection(azure.store, azure.cloud.lifecycle, azure.cloud.scale_sets, services)

    await injection.inject({"kind": "slow", "target": "vault", "seconds": 2.5})
    was_slow = dict(services.delay)
    await injection.inject({"kind": "heal", "target": "vault"})

    assert (was_slow, services.delay) == ({"vault": 2.5}, {})
