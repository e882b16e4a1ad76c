"""Microsoft.Compute: scale sets in uniform orchestration, with manual upgrades.

A PUT changes the model and the number of VMs. Running VMs keep the model that they were created
from until they are reimaged.
"""

import copy
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from lab.azure.arm.errors import AzureError, not_found
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.regions import normalised
from lab.azure.arm.store import JsonObject, Resource, Store
from lab.azure.compute import scale_set_rules
from lab.azure.compute.provisioning import model_version
from lab.azure.compute.resource_types import SCALE_SET
from lab.azure.compute.vm_lifecycle import SHUTDOWN_SECONDS, VmLifecycle
from lab.azure.compute.vm_records import RUNNING, Vm, free_addresses, vms

# Azure numbers a scale set's VMs in base 36.
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class ScaleSetKind(Kind):
    token = SCALE_SET
    properties = scale_set_rules.PROPERTIES

    def __init__(self, store: Store, lifecycle: VmLifecycle) -> None:
        super().__init__(store)
        self._lifecycle = lifecycle

    def check(self, request: Request) -> None:
        scale_set_rules.check(self.store, request)

    async def write(self, request: Request) -> Answer:
        custom_data = _custom_data(request)
        existing = list(vms(self.store, request.id))
        if request.before is None:
            # An interrupted creation left them, and their model is unknown.
            await self._lifecycle.retire(existing)
            existing = []
        first = int(request.before.private["nextIndex"]) if request.before else 0
        wanted = int(request.inputs["sku"]["capacity"])
        surplus = _surplus(request, existing, len(existing) - wanted)
        await self._lifecycle.retire(surplus, grace=SHUTDOWN_SECONDS)
        kept = [vm for vm in existing if vm not in surplus]
        made = self._new(request, kept, wanted - len(kept), first)
        await self._lifecycle.provision(made, custom_data)
        return Answer(
            outputs=self._outputs(request),
            private={
                "customData": custom_data,
                "nextIndex": max([first, *(vm.index + 1 for vm in made)]),
                "uniqueId": _unique_id(request),
            },
        )

    async def remove(self, resource: Resource) -> None:
        await self._lifecycle.retire(list(vms(self.store, resource.id)))

    async def reimage(self, vm: Vm) -> None:
        """Gives a VM a new system disk with the scale set's current model."""
        scale_set = self.store.get(vm.scale_set)
        if scale_set is None:
            raise not_found(vm.scale_set)
        made_from = _model(scale_set.inputs, scale_set.private["customData"])
        renewed = Vm(**{**vars(vm), **made_from})
        await self._lifecycle.reimage(vm, renewed, scale_set.private["customData"])

    def _new(self, request: Request, kept: Iterable[Vm], count: int, first: int) -> list[Vm]:
        if count <= 0:
            return []
        made_from = _model(request.inputs, _custom_data(request))
        subnet = self.store.get(_subnet(request.inputs))
        assert subnet is not None, "the rules have been checked"
        free = list(islice(free_addresses(self.store, subnet), count))
        if len(free) < count:
            message = f"Subnet {subnet.id} does not have enough capacity for {count} VMs."
            raise AzureError("SubnetIsFull", message)
        zones = _spread(request.inputs.get("zones") or [], kept, count)
        prefix = request.inputs["virtualMachineProfile"]["osProfile"].get(
            "computerNamePrefix", request.name
        )
        return [
            Vm(
                id=f"{request.id}/virtualMachines/{first + n}",
                scale_set=request.id,
                index=first + n,
                container=f"fleet-lab-{request.name}_{first + n}",
                computer_name=f"{prefix}{_base36(first + n):0>6}",
                vm_id=str(uuid.uuid4()),
                address=free[n],
                subnet=subnet.id,
                zone=zones[n],
                location=normalised(request.location),
                power=RUNNING,
                created=time.time(),
                **made_from,
            )
            for n in range(count)
        ]

    def _outputs(self, request: Request) -> JsonObject:
        outputs: JsonObject = {"uniqueId": _unique_id(request)}
        if identity := request.inputs.get("identity"):
            ids = identity.get("userAssignedIdentities") or []
            found = {id: self.store.get(id) for id in ids}
            # A list in the inputs, a map in the outputs: azure-native's SDK fails on a list there.
            shown = {
                id: {key: resource.outputs[key] for key in ("clientId", "principalId")}
                for id, resource in found.items()
                if resource is not None
            }
            outputs["identity"] = {**identity, "userAssignedIdentities": shown}
        return outputs


def is_current(scale_set: Resource, vm: Vm) -> bool:
    """Whether the VM was created from the current model (Azure: latestModelApplied)."""
    model: str = _model(scale_set.inputs, scale_set.private["customData"])["model"]
    return vm.model == model


def _model(inputs: JsonObject, custom_data: str) -> JsonObject:
    """What a VM takes from its scale set at creation."""
    profile = copy.deepcopy(inputs["virtualMachineProfile"])
    profile["osProfile"].pop("customData", None)
    identities = tuple((inputs.get("identity") or {}).get("userAssignedIdentities") or [])
    return {
        "profile": profile,
        "identities": identities,
        "model": model_version(profile, custom_data, identities),
    }


def _custom_data(request: Request) -> str:
    """As text. Azure never returns it, so a PUT without it keeps the old value."""
    given = request.inputs["virtualMachineProfile"]["osProfile"].get("customData")
    if given:
        return scale_set_rules.decoded(given)
    return str(request.before.private["customData"]) if request.before else ""


def _unique_id(request: Request) -> str:
    return str(request.before.private["uniqueId"]) if request.before else str(uuid.uuid4())


def _subnet(inputs: JsonObject) -> str:
    interfaces = inputs["virtualMachineProfile"]["networkProfile"]["networkInterfaceConfigurations"]
    subnet: str = interfaces[0]["ipConfigurations"][0]["subnet"]["id"]
    return subnet


def _surplus(request: Request, existing: list[Vm], count: int) -> list[Vm]:
    """The VMs that a scale-in deletes, by the policy.

    All policies take VMs from the fullest zones: Default by the highest number, NewestVM and
    OldestVM by age.
    """
    rules = (request.inputs.get("scaleInPolicy") or {}).get("rules") or ["Default"]
    left = sorted(existing, key=lambda vm: (vm.created, vm.index))
    if rules[0] == "Default":
        left.sort(key=lambda vm: vm.index)
    if rules[0] == "OldestVM":
        left.reverse()
    taken: list[Vm] = []
    for _ in range(max(0, count)):
        zones = Counter(vm.zone for vm in left)
        fullest = max(zones.values())
        last = next(vm for vm in reversed(left) if zones[vm.zone] == fullest)
        left.remove(last)
        taken.append(last)
    return taken


def _spread(zones: list[str], kept: Iterable[Vm], count: int) -> list[str | None]:
    """A zone for each new VM: the one with the fewest VMs."""
    if not zones:
        return [None] * count
    filled = Counter(dict.fromkeys(zones, 0))
    filled.update(vm.zone for vm in kept if vm.zone in zones)
    chosen: list[str | None] = []
    for _ in range(count):
        zone = min(zones, key=lambda each: (filled[each], each))
        filled[zone] += 1
        chosen.append(zone)
    return chosen


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
