"""Microsoft.Compute's rules for the model of a scale set, and the properties that the lab models.

It only decides; `vm_lifecycle` acts on VMs.
"""

import base64
import binascii
import re

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.arm.kinds import Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.references import require, require_part
from lab.azure.arm.regions import check_zones
from lab.azure.arm.store import JsonObject, Store
from lab.azure.identity.resource_types import IDENTITY
from lab.azure.network.load_balancers import POOLS, PROBES, RULES
from lab.azure.network.resource_types import LOAD_BALANCER, SECURITY_GROUP, SUBNET

MAX_CUSTOM_DATA = 64 * 1024
MAX_CAPACITY = 1000
SCALE_IN_RULES = ("Default", "NewestVM", "OldestVM")

_PROFILE = "virtualMachineProfile"
_OS = f"{_PROFILE}.osProfile"
_STORAGE = f"{_PROFILE}.storageProfile"
_INTERFACE = f"{_PROFILE}.networkProfile.networkInterfaceConfigurations"
_DISK_SPEED = "disks are files of the host, with its speed"

PROPERTIES = Properties(
    modelled=frozenset(
        {
            "resourceGroupName",
            "vmScaleSetName",
            "location",
            "tags.*",
            "zones",
            "sku.name",
            "sku.capacity",
            "scaleInPolicy.rules",
            "identity.userAssignedIdentities",
            f"{_OS}.computerNamePrefix",
            f"{_OS}.adminUsername",
            f"{_OS}.customData",
            f"{_OS}.linuxConfiguration.ssh.publicKeys.path",
            f"{_OS}.linuxConfiguration.ssh.publicKeys.keyData",
            f"{_STORAGE}.imageReference.publisher",
            f"{_STORAGE}.imageReference.offer",
            f"{_STORAGE}.imageReference.sku",
            f"{_STORAGE}.imageReference.version",
            f"{_STORAGE}.dataDisks.lun",
            f"{_STORAGE}.dataDisks.diskSizeGB",
            f"{_PROFILE}.networkProfile.healthProbe.id",
            f"{_INTERFACE}.name",
            f"{_INTERFACE}.networkSecurityGroup.id",
            f"{_INTERFACE}.ipConfigurations.name",
            f"{_INTERFACE}.ipConfigurations.subnet.id",
            f"{_INTERFACE}.ipConfigurations.loadBalancerBackendAddressPools.id",
        }
    ),
    only={
        "orchestrationMode": ("Uniform",),
        "upgradePolicy.mode": ("Manual",),
        "overprovision": (False,),
        "zoneBalance": (False,),
        "automaticRepairsPolicy.enabled": (False,),
        "doNotRunExtensionsOnOverprovisionedVMs": (False,),
        "identity.type": ("UserAssigned",),
        "sku.tier": ("Standard",),
        f"{_PROFILE}.priority": ("Regular",),
        f"{_OS}.linuxConfiguration.disablePasswordAuthentication": (True,),
        f"{_OS}.linuxConfiguration.provisionVMAgent": (True,),
        f"{_STORAGE}.osDisk.createOption": ("FromImage",),
        f"{_STORAGE}.osDisk.osType": ("Linux",),
        f"{_STORAGE}.dataDisks.createOption": ("Empty",),
        f"{_STORAGE}.dataDisks.writeAcceleratorEnabled": (False,),
        f"{_INTERFACE}.primary": (True,),
        f"{_INTERFACE}.enableIPForwarding": (False,),
        f"{_INTERFACE}.ipConfigurations.primary": (True,),
        f"{_INTERFACE}.ipConfigurations.privateIPAddressVersion": ("IPv4",),
    },
    inert={
        "singlePlacementGroup": "the lab has one host",
        "platformFaultDomainCount": "the lab has one host",
        "scaleInPolicy.forceDeletion": "the lab always removes VMs immediately",
        f"{_STORAGE}.osDisk.caching": _DISK_SPEED,
        f"{_STORAGE}.osDisk.diskSizeGB": "the system disk is as large as the host's",
        f"{_STORAGE}.osDisk.managedDisk.storageAccountType": _DISK_SPEED,
        f"{_STORAGE}.osDisk.deleteOption": "the lab removes a VM's disks with it",
        f"{_STORAGE}.dataDisks.name": "the lab shows it nowhere",
        f"{_STORAGE}.dataDisks.caching": _DISK_SPEED,
        f"{_STORAGE}.dataDisks.managedDisk.storageAccountType": _DISK_SPEED,
        f"{_STORAGE}.dataDisks.deleteOption": "the lab removes a VM's disks with it",
        f"{_INTERFACE}.enableAcceleratedNetworking": "a bridge has no acceleration",
        f"{_INTERFACE}.deleteOption": "the lab removes a VM's interface with it",
        f"{_PROFILE}.diagnosticsProfile.bootDiagnostics.enabled": "the console is docker's log",
    },
)


def check(store: Store, request: Request) -> None:
    """Raises an AzureError for the first rule that the model breaks."""
    naming.SCALE_SET.check(request.name)
    _check_shape(request)
    check_zones(request, request.inputs.get("zones") or [])
    profile = request.inputs.get(_PROFILE) or {}
    for part in ("osProfile", "storageProfile", "networkProfile"):
        if not profile.get(part):
            raise _invalid(request, f"Required parameter '{_PROFILE}.{part}' is missing (null)")
    _check_os(request, profile["osProfile"])
    _check_image(request, profile["storageProfile"].get("imageReference") or {})
    _check_disks(request, profile["storageProfile"].get("dataDisks") or [])
    _check_network(store, request, profile["networkProfile"])
    for identity in (request.inputs.get("identity") or {}).get("userAssignedIdentities") or []:
        require(store, identity, IDENTITY, Request(id=request.id, path={}, inputs={}, before=None))
    if request.before:
        _check_change(request, request.before.inputs)


def decoded(custom_data: str) -> str:
    """The text in ``customData``. Raises AzureError if a VM could not read it."""
    try:
        raw = base64.b64decode(custom_data, validate=True)
    except binascii.Error as error:
        message = "Custom data in OSProfile must be in Base64 encoding."
        raise AzureError("InvalidParameter", message) from error
    if len(raw) > MAX_CUSTOM_DATA:
        message = f"Custom data in OSProfile has {len(raw)} bytes; at most {MAX_CUSTOM_DATA}."
        raise AzureError("InvalidParameter", message)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        # Azure takes any bytes. coreos-cloudinit reads text, and only text was tested.
        raise not_modelled("custom data that is not UTF-8 text") from error
    if text.split("\n", 1)[0] != "#cloud-config":
        # Azure would accept it, and the VM would ignore the config without an error.
        raise not_modelled("custom data whose first line is not exactly '#cloud-config'")
    return text


def _check_shape(request: Request) -> None:
    if request.inputs.get("orchestrationMode") != "Uniform":
        raise not_modelled("scale sets without orchestrationMode Uniform (set it explicitly)")
    if (request.inputs.get("upgradePolicy") or {}).get("mode") != "Manual":
        message = "Required parameter 'upgradePolicy.mode' is missing (null)"
        raise _invalid(request, message)
    if request.inputs.get("overprovision") is not False:
        raise not_modelled("overprovision, which is the default: set overprovision to false")
    sku = request.inputs.get("sku") or {}
    if not re.fullmatch(r"Standard_[A-Z]+\d+[a-z0-9-]*(_v\d)?", str(sku.get("name"))):
        raise _invalid(request, f"The VM size '{sku.get('name')}' is not valid")
    if re.match(r"Standard_[A-Z]+\d+[a-z0-9-]*p", sku["name"]):
        message = f"The VM size '{sku['name']}' is Arm64, which cannot boot the x64 image"
        raise _invalid(request, message)
    capacity = sku.get("capacity")
    if not isinstance(capacity, int | float) or not 0 <= capacity <= MAX_CAPACITY:
        raise _invalid(request, f"The capacity {capacity!r} is not from 0 to {MAX_CAPACITY}")
    rules = (request.inputs.get("scaleInPolicy") or {}).get("rules") or []
    if len(rules) > 1 or any(rule not in SCALE_IN_RULES for rule in rules):
        raise _invalid(request, f"scaleInPolicy.rules is {rules}: one of {SCALE_IN_RULES}")


def _check_os(request: Request, profile: JsonObject) -> None:
    naming.COMPUTER_NAME_PREFIX.check(profile.get("computerNamePrefix", request.name))
    user = profile.get("adminUsername", "")
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,63}", user) or user in ("root", "admin", "user"):
        raise _invalid(request, f"The admin user name '{user}' is not allowed")
    linux = profile.get("linuxConfiguration") or {}
    if not linux.get("disablePasswordAuthentication"):
        raise not_modelled("password logins: set disablePasswordAuthentication to true")
    keys = (linux.get("ssh") or {}).get("publicKeys") or []
    if not keys:
        message = "Authentication using either SSH or by user name and password must be enabled"
        raise _invalid(request, message)
    for key in keys:
        if key.get("path") != f"/home/{user}/.ssh/authorized_keys":
            raise _invalid(request, f"The ssh key's path must be that of '{user}'")
        if not str(key.get("keyData")).startswith(("ssh-rsa ", "ssh-ed25519 ")):
            raise _invalid(request, "The ssh key's keyData is neither ssh-rsa nor ssh-ed25519")
    if profile.get("customData"):
        decoded(profile["customData"])


def _check_image(request: Request, image: JsonObject) -> None:
    named = {key: image.get(key) for key in ("publisher", "offer")}
    if named != {"publisher": "kinvolk", "offer": "flatcar-container-linux-corevm-amd64"}:
        raise not_modelled(f"the image {image}")
    if image.get("sku") not in ("stable-gen2", "stable"):
        raise not_modelled(f"the image sku {image.get('sku')!r}")
    if not re.fullmatch(r"latest|\d+\.\d+\.\d+", str(image.get("version"))):
        message = f"The platform image version '{image.get('version')}' is not available"
        raise AzureError("PlatformImageNotFound", f"{message} ({request.id}).", 404)


def _check_disks(request: Request, disks: list[JsonObject]) -> None:
    luns = [disk.get("lun") for disk in disks]
    for disk in disks:
        if luns.count(disk.get("lun")) > 1 or disk.get("lun") not in range(64):
            raise _invalid(request, f"The data disk's lun {disk.get('lun')!r} is not valid")
        if disk.get("createOption") != "Empty":
            raise _invalid(request, f"The data disk at lun {disk['lun']} needs a createOption")
        if disk.get("diskSizeGB", 0) not in range(1, 32768):
            raise _invalid(request, f"The data disk at lun {disk['lun']} needs 1 to 32767 GB")


def _check_network(store: Store, request: Request, profile: JsonObject) -> None:
    interfaces = profile.get("networkInterfaceConfigurations") or []
    addresses = interfaces[0].get("ipConfigurations") or [] if interfaces else []
    if len(interfaces) != 1 or len(addresses) != 1:
        raise not_modelled("scale sets without exactly one interface and one address per VM")
    if not interfaces[0].get("primary"):
        raise _invalid(request, "One network interface configuration must be primary")
    if group := interfaces[0].get("networkSecurityGroup"):
        require(store, group["id"], SECURITY_GROUP, request)
    if not addresses[0].get("subnet"):
        raise _invalid(request, "The ip configuration names no subnet")
    require(store, addresses[0]["subnet"]["id"], SUBNET, request)
    for pool in addresses[0].get("loadBalancerBackendAddressPools") or []:
        require_part(store, pool["id"], LOAD_BALANCER, POOLS, request)
    if probe := profile.get("healthProbe"):
        _check_health_probe(store, request, probe["id"])


def _check_health_probe(store: Store, request: Request, probe: str) -> None:
    balancer = require_part(store, probe, LOAD_BALANCER, PROBES, request)
    used = {
        rule["probe"]["id"].lower()
        for rule in balancer.inputs.get(RULES) or []
        if rule.get("probe")
    }
    if probe.lower() not in used:
        message = f"VM scale set {request.id} cannot use health probe {probe} as a HealthProbe "
        message += "because it is not used by any load balancing rule."
        raise AzureError("CannotUseInactiveHealthProbe", message)


def _check_change(request: Request, before: JsonObject) -> None:
    old, new = before[_PROFILE]["osProfile"], request.inputs[_PROFILE]["osProfile"]
    for name in ("computerNamePrefix", "adminUsername"):
        if old.get(name) != new.get(name):
            raise AzureError(
                "PropertyChangeNotAllowed",
                f"Changing property '{_OS}.{name}' of '{request.id}' is not allowed.",
                409,
            )
    lost = set(before.get("zones") or []) - set(request.inputs.get("zones") or [])
    if lost:
        message = f"Zones can be added to '{request.id}', not removed ({sorted(lost)})."
        raise AzureError("PropertyChangeNotAllowed", message, 409)
    if _network_of(before) != _network_of(request.inputs):
        message = f"The subnet of '{request.id}' must stay in the same virtual network."
        raise AzureError("PropertyChangeNotAllowed", message, 409)


def _network_of(inputs: JsonObject) -> str:
    interface = inputs[_PROFILE]["networkProfile"]["networkInterfaceConfigurations"][0]
    subnet: str = interface["ipConfigurations"][0]["subnet"]["id"]
    return subnet.lower().rsplit("/subnets/", 1)[0]


def _invalid(request: Request, message: str) -> AzureError:
    return AzureError("InvalidParameter", f"{message} ({request.id}).")
