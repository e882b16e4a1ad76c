"""Microsoft.Network: the configuration of load balancers. `lab.azure.load_balancer` balances."""

from collections.abc import Iterable

from lab.azure.arm import naming
from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.references import names, references, require, users
from lab.azure.arm.store import JsonObject, Resource
from lab.azure.network.public_addresses import check_free
from lab.azure.network.resource_types import LOAD_BALANCER, PUBLIC_ADDRESS

FRONTENDS = "frontendIPConfigurations"
POOLS = "backendAddressPools"
PROBES = "probes"
RULES = "loadBalancingRules"

_RULE_IDLE_MINUTES = range(4, 101)  # older pages of the REST reference say 30, newer ones 100


class LoadBalancerKind(Kind):
    token = LOAD_BALANCER
    properties = Properties(
        modelled=frozenset(
            {
                "resourceGroupName",
                "loadBalancerName",
                "location",
                "tags.*",
                "sku.name",
                f"{FRONTENDS}.name",
                f"{FRONTENDS}.publicIPAddress.id",
                f"{POOLS}.name",
                f"{PROBES}.name",
                f"{PROBES}.protocol",
                f"{PROBES}.port",
                f"{PROBES}.requestPath",
                f"{PROBES}.intervalInSeconds",
                f"{PROBES}.numberOfProbes",
                f"{PROBES}.probeThreshold",
                f"{RULES}.name",
                f"{RULES}.protocol",
                f"{RULES}.frontendPort",
                f"{RULES}.backendPort",
                f"{RULES}.frontendIPConfiguration.id",
                f"{RULES}.backendAddressPool.id",
                f"{RULES}.probe.id",
                f"{RULES}.loadDistribution",
                f"{RULES}.idleTimeoutInMinutes",
                f"{RULES}.enableTcpReset",
                f"{RULES}.disableOutboundSnat",
            }
        ),
        only={
            "sku.tier": ("Regional",),
            f"{RULES}.enableFloatingIP": (False,),
        },
    )

    def check(self, request: Request) -> None:
        naming.NETWORK_RESOURCE.check(request.name)
        sku = (request.inputs.get("sku") or {}).get("name", "Basic")
        if sku != "Standard":
            message = f"Load balancer '{request.name}' has the sku '{sku}'. Basic load balancers "
            message += "are retired (September 2025): use Standard."
            raise AzureError("LoadBalancerSkuNotSupported", message)
        for collection in (FRONTENDS, POOLS, PROBES, RULES):
            self._check_names(request, collection)
        for frontend in _parts(request, FRONTENDS):
            self._check_frontend(request, frontend)
        for probe in _parts(request, PROBES):
            _check_probe(probe)
        for rule in _parts(request, RULES):
            _check_rule(request, rule)
        _check_distinct(_parts(request, RULES))
        self._refuse_loss_of_used_parts(request)

    async def write(self, request: Request) -> Answer:
        outputs: JsonObject = {"inboundNatRules": [], "inboundNatPools": [], "outboundRules": []}
        for collection in (FRONTENDS, POOLS, PROBES, RULES):
            outputs[collection] = [
                {
                    **part,
                    "id": request.child(collection, part["name"]),
                    "provisioningState": "Succeeded",
                }
                for part in _parts(request, collection)
            ]
        return Answer(outputs=outputs)

    def check_delete(self, resource: Resource) -> None:
        for user in users(self.store, resource.id):
            message = f"Cannot delete load balancer {resource.id} since its child resources are "
            message += f"in use by virtual VM scale set {user.id}."
            raise AzureError("LoadBalancerInUseByVirtualMachineScaleSet", message)

    def _check_names(self, request: Request, collection: str) -> None:
        given = names(request.inputs, collection)
        for name in given:
            naming.NETWORK_RESOURCE.check(name)
            if given.count(name) > 1:
                message = f"'{name}' is used twice in {collection} of '{request.name}'."
                raise AzureError("InvalidRequestFormat", message)

    def _check_frontend(self, request: Request, frontend: JsonObject) -> None:
        reference = frontend.get("publicIPAddress")
        if reference is None:
            raise not_modelled(f"frontends without publicIPAddress ('{frontend['name']}')")
        address = require(self.store, reference["id"], PUBLIC_ADDRESS, request)
        check_free(self.store, address, request)

    def _refuse_loss_of_used_parts(self, request: Request) -> None:
        if request.before is None:
            return
        kept = {
            request.child(collection, name).lower()
            for collection in (POOLS, PROBES)
            for name in names(request.inputs, collection)
        }
        prefix = f"{request.id.lower()}/"
        for user in users(self.store, request.id):
            for used in references(user.inputs):
                if used.lower().startswith(prefix) and used.lower() not in kept:
                    message = f"{used} is in use by {user.id} and cannot be removed."
                    raise AzureError("InUseLoadBalancerPartCannotBeDeleted", message)


def _parts(request: Request, collection: str) -> list[JsonObject]:
    return request.inputs.get(collection) or []


def _check_probe(probe: JsonObject) -> None:
    name, protocol = probe["name"], probe.get("protocol")
    if protocol not in ("Http", "Https", "Tcp"):
        raise AzureError("InvalidRequestFormat", f"Probe '{name}' has protocol {protocol!r}.")
    if (protocol == "Tcp") != (not probe.get("requestPath")):
        message = f"Probe '{name}': requestPath is required for Http(s) and not allowed for Tcp."
        raise AzureError("ProbeRequestPathInvalid", message)
    _check_port(probe.get("port"), f"probe '{name}'")
    interval = probe.get("intervalInSeconds", 15)
    if not 5 <= interval <= 2147483646:
        message = f"Probe '{name}': intervalInSeconds is {interval}; at least 5."
        raise AzureError("ProbeIntervalInvalid", message)
    for counter in ("numberOfProbes", "probeThreshold"):
        if not 1 <= probe.get(counter, 1) <= 100:
            message = f"Probe '{name}': {counter} is {probe[counter]}; 1 to 100."
            raise AzureError("ProbeThresholdInvalid", message)


def _check_rule(request: Request, rule: JsonObject) -> None:
    name = rule["name"]
    for field, collection in (
        ("frontendIPConfiguration", FRONTENDS),
        ("backendAddressPool", POOLS),
        ("probe", PROBES),
    ):
        _check_part(request, rule, field, collection)
    if rule.get("protocol") not in ("Tcp", "Udp"):
        # "All" is for internal load balancers' HA ports.
        message = f"Load balancing rule '{name}' has protocol {rule.get('protocol')!r}."
        raise AzureError("LoadBalancingRuleProtocolInvalid", message)
    for field in ("frontendPort", "backendPort"):
        last = 65534 if field == "frontendPort" else 65535
        _check_port(rule.get(field), f"{field} of load balancing rule '{name}'", last)
    if rule.get("loadDistribution", "Default") not in ("Default", "SourceIP", "SourceIPProtocol"):
        message = f"Rule '{name}' has loadDistribution {rule['loadDistribution']!r}."
        raise AzureError("InvalidRequestFormat", message)
    minutes = rule.get("idleTimeoutInMinutes", 4)
    if minutes not in _RULE_IDLE_MINUTES:
        message = f"Rule '{name}': idleTimeoutInMinutes is {minutes}; 4 to 100."
        raise AzureError("LoadBalancingRuleIdleTimeoutInvalid", message)
    if rule["protocol"] == "Udp" and rule.get("enableTcpReset"):
        message = f"Rule '{name}': enableTcpReset is for the protocol Tcp."
        raise AzureError("LoadBalancingRuleTcpResetInvalid", message)


def _check_part(request: Request, rule: JsonObject, field: str, collection: str) -> None:
    if field not in rule:
        if field == "probe":
            return  # allowed: then every member counts as healthy
        message = f"Load balancing rule '{rule['name']}' has no {field}."
        raise AzureError("InvalidRequestFormat", message)
    wanted = rule[field]["id"].lower()
    known = {request.child(collection, name).lower() for name in names(request.inputs, collection)}
    if wanted not in known:
        message = f"Resource {rule[field]['id']} referenced by load balancing rule "
        message += f"'{rule['name']}' was not found in load balancer '{request.name}'."
        raise AzureError("InvalidResourceReference", message)


def _check_distinct(rules: Iterable[JsonObject]) -> None:
    """No two rules may share a frontend port, or a backend port of a pool."""
    frontends: dict[tuple[str, str, int], str] = {}
    backends: dict[tuple[str, str, int], str] = {}
    for rule in rules:
        name, protocol = rule["name"], rule["protocol"]
        way_in = (rule["frontendIPConfiguration"]["id"].lower(), protocol, rule["frontendPort"])
        way_out = (rule["backendAddressPool"]["id"].lower(), protocol, rule["backendPort"])
        other = frontends.setdefault(way_in, name)
        if other != name:
            message = f"Load balancing rules {other} and {name} with the same frontend IP "
            message += f"configuration have the same protocol {protocol} and frontend port."
            raise AzureError("RulesUseSameFrontendPortProtocolAndIPConfig", message)
        other = backends.setdefault(way_out, name)
        if other != name:
            message = f"Load balancing rules {other} and {name} use the same backend port "
            message += f"{rule['backendPort']}, protocol {protocol} and pool."
            raise AzureError("RulesUseSameBackendPortProtocolAndPool", message)


def _check_port(port: object, where: str, last: int = 65535) -> None:
    if not isinstance(port, int | float) or not 1 <= port <= last:
        raise AzureError("InvalidPort", f"{port!r} is not a port from 1 to {last} ({where}).")
