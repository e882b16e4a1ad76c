"""The azure-native provider as the engine calls it. It translates calls and decides nothing."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from lab.azure.arm.resource_groups import RESOURCE_GROUP
from lab.azure.arm.resource_types import ResourceType
from lab.azure.arm.subscription import SUBSCRIPTION_ID
from lab.azure.resource_types import INVOKES, PACKAGE_VERSION, RESOURCE_TYPES
from lab.azure.storage.resource_types import BLOB, LIST_ACCOUNT_KEYS
from lab.providers.azure_native import checking, diffing, state
from lab.providers.azure_native.blob import BlobResources
from lab.providers.azure_native.checking import API_VERSION, Naming, NamingMode
from lab.providers.cloud_client import CloudClient, CloudError, CloudResource
from lab.providers.plugin import InitFailed, Plugin, ProviderError, name_of, rpc, type_of
from lab.providers.wire import Props, Secret, dump_map, load_map, reveal

_TWO_HOURS = 2.0 * 60 * 60  # azure-native's limit where the program sets no custom timeout


class Resources(Protocol):
    """Where resources live. Every call blocks, and raises ProviderError."""

    def create(self, token: str, inputs: Props, timeout: float) -> CloudResource: ...
    def read(self, resource_id: str) -> CloudResource | None: ...
    def update(
        self, resource_id: str, token: str, inputs: Props, timeout: float
    ) -> CloudResource: ...
    def delete(self, resource_id: str, timeout: float) -> None: ...


class AzureNative(Plugin):
    """azure-native, with the simulated Azure in place of Azure."""

    def __init__(self, cloud: CloudClient) -> None:
        super().__init__(package="azure-native", version=PACKAGE_VERSION)
        self._cloud = cloud
        self._blobs = BlobResources(cloud)
        self._location: str | None = None
        self._group_locations: dict[str, str] = {}

    async def configure(self, config: Props) -> None:
        plain = reveal(config)
        self._location = plain.get("location")
        subscription = plain.get("subscriptionId")
        if subscription not in (None, "", SUBSCRIPTION_ID):
            raise ProviderError(
                f"SubscriptionNotFound: azure-native:subscriptionId is '{subscription}'; the lab "
                f"has one subscription, {SUBSCRIPTION_ID}: leave the setting out",
                grpc.StatusCode.INVALID_ARGUMENT,
            )

    @rpc
    async def Check(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resource_type = _known_type(request)
        inputs = await checking.with_defaults(
            resource_type,
            olds=load_map(request.olds),
            news=load_map(request.news),
            naming=_naming(request),
            location=self._location,
            locate_group=self._locate_group,
        )
        failures = [
            provider_pb2.CheckFailure(property=problem.path, reason=problem.reason)
            for problem in checking.check_problems(resource_type, inputs)
        ]
        return provider_pb2.CheckResponse(inputs=dump_map(inputs), failures=failures)

    @rpc
    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        old = load_map(request.old_inputs)
        found = diffing.changes(
            _known_type(request), old, load_map(request.news), request.ignoreChanges
        )
        replaces = sorted({change.top_level for change in found if change.replaces})
        response = provider_pb2.DiffResponse
        return response(
            changes=response.DIFF_SOME if found else response.DIFF_NONE,
            diffs=sorted({change.top_level for change in found}),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and diffing.deletes_first(old),
            detailedDiff={diffing.format_path(each.path): _detail(each) for each in found},
            hasDetailedDiff=True,
        )

    @rpc
    async def Create(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resource_type, inputs = _known_type(request), load_map(request.properties)
        if request.preview:
            outputs = state.preview_outputs(resource_type, inputs)
            return provider_pb2.CreateResponse(id="", properties=dump_map(outputs))
        made = await self._create(resource_type, inputs, limit=request.timeout or _TWO_HOURS)
        outputs = state.stored_outputs(resource_type, inputs, made.outputs)
        return provider_pb2.CreateResponse(id=made.id, properties=dump_map(outputs))

    async def _create(
        self, resource_type: ResourceType, inputs: Props, *, limit: float
    ) -> CloudResource:
        """Create it. If the creation fails but the resource exists, keep it as unhealthy."""
        resources, sent = self._resources(resource_type), _sent(inputs)
        try:
            return await asyncio.to_thread(resources.create, resource_type.token, sent, limit)
        except CloudError as error:
            if error.status < 500 or error.status == 501:
                raise
            resource_id = resource_type.resource_id(sent)
            found = await asyncio.to_thread(resources.read, resource_id)
            if found is None:
                raise
            outputs = state.stored_outputs(resource_type, inputs, found.outputs)
            raise InitFailed(
                str(error), resource_id=found.id, outputs=outputs, inputs=inputs
            ) from error

    @rpc
    async def Read(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resource_type = _known_type(request)
        if resource_type.parse_id(request.id) is None:
            message = (
                f"'{request.id}' is not the id of a {resource_type.token}, which looks like "
                f"{resource_type.id_template}"
            )
            raise ProviderError(message, grpc.StatusCode.INVALID_ARGUMENT)
        found = await asyncio.to_thread(self._resources(resource_type).read, request.id)
        if found is None:
            return provider_pb2.ReadResponse()  # an empty id means that it does not exist
        old_inputs, old_outputs = load_map(request.inputs), load_map(request.properties)
        outputs = state.stored_outputs(resource_type, old_inputs, found.outputs)
        if old_inputs:
            inputs = state.refreshed_inputs(resource_type, old_inputs, old_outputs, outputs)
        else:
            inputs = state.imported_inputs(resource_type, request.id, outputs)
        return provider_pb2.ReadResponse(
            id=found.id, properties=dump_map(outputs), inputs=dump_map(inputs)
        )

    @rpc
    async def Update(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resource_type, inputs = _known_type(request), load_map(request.news)
        if request.preview:
            outputs = state.preview_outputs(resource_type, inputs, load_map(request.olds))
        else:
            made = await asyncio.to_thread(
                self._resources(resource_type).update,
                *(request.id, resource_type.token, _sent(inputs), request.timeout or _TWO_HOURS),
            )
            outputs = state.stored_outputs(resource_type, inputs, made.outputs)
        return provider_pb2.UpdateResponse(properties=dump_map(outputs))

    @rpc
    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resources = self._resources(_known_type(request))
        await asyncio.to_thread(resources.delete, request.id, request.timeout or _TWO_HOURS)
        return empty_pb2.Empty()

    @rpc
    async def Invoke(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        if request.tok not in INVOKES:
            raise ProviderError(
                f"the lab does not model the function {request.tok}; it has "
                f"{', '.join(sorted(INVOKES))}",
                grpc.StatusCode.UNIMPLEMENTED,
            )
        args = reveal(load_map(request.args))
        result: Props = await asyncio.to_thread(self._cloud.invoke, request.tok, args)
        if request.tok == LIST_ACCOUNT_KEYS:
            result = {**result, "keys": [_secret_key(key) for key in result["keys"]]}
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(dump_map(result))
        return response

    def _resources(self, resource_type: ResourceType) -> Resources:
        return self._blobs if resource_type.token == BLOB else self._cloud

    async def _locate_group(self, name: str) -> str | None:
        if name not in self._group_locations:
            group = RESOURCE_TYPES[RESOURCE_GROUP]
            group_id = group.resource_id({"resourceGroupName": name})
            found = await asyncio.to_thread(self._cloud.read, group_id)
            if found is None:
                return None
            self._group_locations[name] = found.outputs["location"]
        return self._group_locations[name]


def _known_type(request: Any) -> ResourceType:
    token = type_of(request)
    if token not in RESOURCE_TYPES:
        raise ProviderError(
            f"the lab does not model {token}; it has {', '.join(sorted(RESOURCE_TYPES))}",
            grpc.StatusCode.UNIMPLEMENTED,
        )
    return RESOURCE_TYPES[token]


def _naming(request: Any) -> Naming:
    if not request.HasField("autonaming"):
        return Naming(name_of(request), request.randomSeed)
    mode, proposed = NamingMode(request.autonaming.mode), request.autonaming.proposed_name
    return Naming(name_of(request), request.randomSeed, mode, proposed)


def _detail(change: diffing.Change) -> Any:
    """In the protocol, a kind plus one means the same kind with a replacement."""
    kind = change.kind.value + int(change.replaces)
    return provider_pb2.PropertyDiff(kind=kind, inputDiff=True)  # type: ignore[arg-type]


def _sent(inputs: Props) -> Props:
    """The inputs for the cloud: plain values, without the provider's own marks."""
    ours = {API_VERSION, checking.CREATE_BEFORE_DELETE}
    plain: Props = reveal({name: value for name, value in inputs.items() if name not in ours})
    return plain


def _secret_key(key: Props) -> Props:
    return {**key, "value": Secret(key["value"])}
