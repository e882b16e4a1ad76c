"""The engine's calls: decode, decide what a preview may know, and hand over to the resources."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, provider_pb2

from lab.providers.command import local, schema
from lab.providers.command.diff import Change, diff, same, with_ignored
from lab.providers.command.errors import CommandError
from lab.providers.command.inputs import Failure, check, decoding_problem, without_nulls
from lab.providers.command.operation import Operation, Pause, Severity
from lab.providers.command.resources import RESOURCES, Resource
from lab.providers.plugin import Plugin, name_of, rpc, type_of
from lab.providers.wire import UNKNOWN, Props, dump_map, load_map, reveal

PACKAGE = "command"
VERSION = "1.2.1"

# The real plugin's framework leaves its version in the state of the provider.
_FRAMEWORK = {"__pulumi-go-provider-version": "1.2.0"}

_SEVERITIES = {
    Severity.DEBUG: engine_pb2.LogSeverity.DEBUG,
    Severity.INFO: engine_pb2.LogSeverity.INFO,
    Severity.WARNING: engine_pb2.LogSeverity.WARNING,
    Severity.ERROR: engine_pb2.LogSeverity.ERROR,
}


class CommandProvider(Plugin):
    """`pulumi-resource-command`. Tests bring a `pause` of their own."""

    def __init__(self, *, pause: Pause = asyncio.sleep) -> None:
        super().__init__(package=PACKAGE, version=VERSION)
        self._pause = pause

    def _operation(self, urn: str, timeout: float = 0) -> Operation:
        async def log(severity: Severity, text: str, *, status: bool) -> None:
            await self.log(urn, text, severity=_SEVERITIES[severity], ephemeral=status)

        return Operation(log, self.cancelled, timeout=timeout, pause=self._pause)

    @rpc
    async def Handshake(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """Not implemented, as in the real plugin: the engine goes on with Configure."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "method Handshake not implemented")

    @rpc
    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        inputs = {**load_map(request.news), **_FRAMEWORK}
        return provider_pb2.CheckResponse(inputs=dump_map(inputs))

    @rpc
    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True
        )

    @rpc
    async def Check(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resource = _resource(request)
        checked = check(resource.inputs, _props(request.news))
        failures = checked.failures or resource.check(checked.inputs)
        return provider_pb2.CheckResponse(
            inputs=dump_map(checked.inputs), failures=_failures(failures)
        )

    @rpc
    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resource = _resource(request)
        state, ignored = _props(request.olds), list(request.ignoreChanges)
        news = with_ignored(_props(request.news), state, ignored)
        changes = diff(_props(request.old_inputs), news, updatable=resource.updatable)
        heads = {path: path.partition(".")[0].partition("[")[0] for path in changes}
        return provider_pb2.DiffResponse(
            changes=(
                provider_pb2.DiffResponse.DIFF_SOME
                if changes
                else provider_pb2.DiffResponse.DIFF_NONE
            ),
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=_kind(change))
                for path, change in changes.items()
            },
            hasDetailedDiff=True,
            diffs=sorted(set(heads.values())),
            replaces=sorted({heads[path] for path, change in changes.items() if change.replace}),
        )

    @rpc
    async def Create(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resource, props = _resource(request), _props(request.properties)
        problem = decoding_problem(resource.inputs, props)
        if problem:
            raise CommandError(f"invalid inputs: {problem}")
        if request.preview:
            outputs = dict.fromkeys(resource.computed, UNKNOWN)
        else:
            operation = self._operation(request.urn, request.timeout)
            outputs = await resource.create(reveal(props), operation)
        return provider_pb2.CreateResponse(
            id=resource.new_id(name_of(request)), properties=dump_map({**props, **outputs})
        )

    @rpc
    async def Read(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """The state as it is: there is nothing to look at."""
        _resource(request)
        return provider_pb2.ReadResponse(
            id=request.id, properties=request.properties, inputs=request.inputs
        )

    @rpc
    async def Update(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        resource, state = _resource(request), _props(request.olds)
        news = with_ignored(_props(request.news), state, list(request.ignoreChanges))
        problem = decoding_problem(resource.inputs, news)
        if problem:
            raise CommandError(problem)
        if request.preview:
            outputs = _previewed_update(resource, state, news)
        else:
            operation = self._operation(request.urn, request.timeout)
            outputs = await resource.update(reveal(state), reveal(news), operation)
        return provider_pb2.UpdateResponse(properties=dump_map({**news, **outputs}))

    @rpc
    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        state = reveal(_props(request.properties))
        operation = self._operation(request.urn, request.timeout)
        await _resource(request).delete(state, operation)
        return empty_pb2.Empty()

    @rpc
    async def Invoke(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """`local.run`, which runs at every preview, too."""
        token = _short(request.tok)
        if token != "local:run":
            raise CommandError(f"Invoke '{token}' not found", grpc.StatusCode.NOT_FOUND)
        checked = check(schema.LOCAL_RUN, _props(request.args))
        if checked.failures:
            return provider_pb2.InvokeResponse(failures=_failures(checked.failures))
        plain = reveal(checked.inputs)
        outputs = await local.run(plain, {}, plain["command"], self._operation(""))
        response = provider_pb2.InvokeResponse()
        # The field is a Python keyword.
        getattr(response, "return").CopyFrom(dump_map({**checked.inputs, **outputs}))
        return response


def _kind(change: Change) -> provider_pb2.PropertyDiff.Kind.ValueType:
    # In the protocol every replacing kind is one more than the plain one.
    return cast(provider_pb2.PropertyDiff.Kind.ValueType, change.kind.value + change.replace)


def _resource(request: Any) -> Resource:
    token = _short(type_of(request))
    try:
        return RESOURCES[token]
    except KeyError:
        raise CommandError(f"Resource '{token}' not found", grpc.StatusCode.NOT_FOUND) from None


def _short(token: str) -> str:
    return token.removeprefix(f"{PACKAGE}:")


def _props(struct: struct_pb2.Struct) -> Props:
    props: Props = without_nulls(load_map(struct))
    return props


def _failures(failures: list[Failure]) -> list[provider_pb2.CheckFailure]:
    return [
        provider_pb2.CheckFailure(property=failure.property, reason=failure.reason)
        for failure in failures
    ]


def _previewed_update(resource: Resource, state: Props, news: Props) -> Props:
    """What is known of the outputs before an update: all of it, unless an input changes.

    An input that is only added does not count unless it is unknown itself, as in the real plugin's
    framework.
    """
    declared = resource.inputs.inputs
    changes = any(
        reveal(news.get(name)) is UNKNOWN
        or (name in state and not (name in news and same(state[name], news[name])))
        for name in declared
    )
    outputs = {name: value for name, value in state.items() if name not in declared}
    if changes:
        outputs |= dict.fromkeys(resource.computed | outputs.keys(), UNKNOWN)
    return outputs
