"""The whole program run against a monitor that records what it would register, and touches nothing.

Ids and computed outputs are made up here, in Azure's shapes.
"""

import asyncio
import copy
import hashlib
import json
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import get_root_resource, mocks, rpc, set_all_config
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import Stack, run_pulumi_func

PROJECT = Path(__file__).parents[2]
SUBSCRIPTION = "5ab50000-1ab0-4000-8000-000000000002"
DEPLOYER = "de910000-1ab0-4000-8000-000000000003"


@dataclass(kw_only=True, frozen=True)
class Registered:
    """One resource as the program registers it: plain inputs, and the options that matter."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    secret_inputs: frozenset[str]
    """Top-level inputs that are, or hold, a secret."""
    protected: bool
    deleted_with: str
    provider: str
    dependencies: frozenset[str]
    secret_outputs: frozenset[str]


@dataclass(kw_only=True)
class Recorded:
    """Everything that a run of the program registered."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_exports: set[str] = field(default_factory=set)

    def all(self, type_: str) -> list[Registered]:
        return [one for one in self.resources if one.type == type_]

    def one(self, type_: str, name: str | None = None) -> Registered:
        found = [one for one in self.all(type_) if name in (None, one.name)]
        assert len(found) == 1, [one.name for one in self.all(type_)]
        return found[0]


def run_program(config: Mapping[str, object], *, stack: str = "dev") -> Recorded:
    """Run `__main__.py` for a stack with this configuration (keys without `fleet:`)."""
    text = {
        f"fleet:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in config.items()
    }
    return asyncio.run(_run(text, stack))


async def _run(config: Mapping[str, str], stack: str) -> Recorded:
    monitor = _Monitor()
    # in here, because Pulumi keeps all of this in variables of the asyncio task
    set_all_config(dict(config), [name for name in config if name == "fleet:secrets"])
    mocks.set_mocks(_Azure(), project="fleet", stack=stack, monitor=monitor)
    SETTINGS.callbacks = _NoEngine()
    await run_pulumi_func(_program)
    root = get_root_resource()
    assert isinstance(root, Stack)
    for name, value in root.outputs.items():
        export = pulumi.Output.from_input(value)
        monitor.recorded.outputs[name] = await export.future()
        if await export.is_secret():
            monitor.recorded.secret_exports.add(name)
    return monitor.recorded


def _program() -> None:
    runpy.run_path(str(PROJECT / "__main__.py"), run_name="__main__")


class _NoEngine:
    """Without an engine, no resource hook is ever called."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        assert callable(hook.callback)


class _Monitor(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(_Azure())
        self.recorded = Recorded()

    def RegisterResource(self, request: Any) -> Any:
        answer: Any = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        raw = json_format.MessageToDict(request.object)
        self.recorded.resources.append(
            Registered(
                type=request.type,
                name=request.name,
                urn=answer.urn,
                inputs=_plain(rpc.deserialize_properties(request.object)),
                secret_inputs=frozenset(key for key, value in raw.items() if _is_secret(value)),
                protected=request.protect,
                deleted_with=request.deletedWith,
                provider=request.provider,
                dependencies=frozenset(request.dependencies),
                secret_outputs=frozenset(request.additionalSecretOutputs),
            )
        )
        return answer


def _is_secret(value: object) -> bool:
    return rpc._special_secret_sig in json.dumps(value)


def _plain(value: Any) -> Any:
    """A value without the wrapping of secrets."""
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _secret(value: object) -> dict[str, object]:
    """A secret as the engine hands it to the program."""
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def _versioned(name: str, value: object) -> str:
    """Another version for another value, wherever that is wrapped."""
    digits = hashlib.sha256(json.dumps(_plain(value)).encode()).hexdigest()[:32]
    return f"https://fleet12345678.vault.azure.net/secrets/{name}/{digits}"


class _Azure(mocks.Mocks):
    """Outputs that only Azure (or our own provider) knows."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = copy.deepcopy(args.inputs)
        match args.typ.rpartition(":")[2]:
            case "ResourceGroup":
                name = inputs["resourceGroupName"]
                return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}", {"name": name}
            case "PublicIPAddress":
                label = inputs.get("dnsSettings", {}).get("domainNameLabel", "")
                inputs["ipAddress"] = "20.1.2.3"
                inputs["dnsSettings"] = {"fqdn": f"{label}.westeurope.cloudapp.azure.com"}
            case "UserAssignedIdentity":
                inputs |= {"clientId": "c-l-i-e-n-t", "principalId": "p-r-i-n-c-i-p-a-l"}
            case "SshKeyPair":
                inputs["private_key"] = _secret(f"private {args.name}")
                inputs["public_key"] = "ssh-ed25519 AAAA"
            case "SelfSignedCertificate":
                inputs["private_key"] = _secret("private tls")
                inputs |= {"certificate": "cert", "not_after": "2099"}
            case "VirtualMachineScaleSet":
                # goes in as a list of ids, comes back as a map
                ids = inputs["identity"].pop("userAssignedIdentities")
                inputs["identity"]["userAssignedIdentities"] = {one: {} for one in ids}
            case "Secret":
                name = inputs.setdefault("secretName", f"{args.name}-1a2b3c")
                version = _versioned(name, inputs["properties"]["value"])
                # what comes of a secret may be one as a whole
                inputs["properties"] = _secret({"secretUriWithVersion": version})
            case "Command":
                inputs |= {"stdout": "", "stderr": ""}
        return f"{args.name}-id", {"name": f"{args.name}12345678", **inputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], Any]:
        assert args.token == "azure-native:authorization:getClientConfig", args.token
        assert args.provider, "only the program's own provider may be asked"
        known = {
            "subscriptionId": SUBSCRIPTION,
            "tenantId": "7e4a0000-1ab0-4000-8000-000000000001",
            "objectId": DEPLOYER,
            "clientId": "c11e0000-1ab0-4000-8000-000000000004",
        }
        return known, []
