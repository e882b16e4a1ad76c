"""The engine's calls: decodes inputs, answers previews, and runs the command."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, provider_pb2

from lab.providers.command import lifecycle
from lab.providers.command.diff import Change, diff, same, with_ignored
from lab.providers.command.errors import CommandError
from lab.providers.command.inputs import Failure, check, decoding_problem, without_nulls
from lab.providers.command.operation import Operation, Pause, Severity
from lab.providers.command.schema import REMOTE_COMMAND
from lab.providers.plugin import Plugin, name_of, rpc, type_of
from lab.providers.wire import UNKNOWN, Props, dump_map, load_map, reveal

PACKAGE = "command"
VERSION = "1.2.1"

# The real plugin's framework writes its version into the provider's state.
_FRAMEWORK = {"__pulumi-go-provider-version": "1.2.0"}

_SEVERITIES = {
    Severity.DEBUG: engine_pb2.LogSeverity.DEBUG,
    Severity.INFO: engine_pb2.LogSeverity.INFO,
    Severity.WARNING: engine_pb2.LogSeverity.WARNING,
    Severity.ERROR: engine_pb2.LogSeverity.ERROR,
}


class CommandProvider(Plugin):
    """`pulumi-resource-command`. Tests replace `pause`."""

    def __init__(self, *, pause: Pause = asyncio.sleep) -> None:
        super().__init__(package=PACKAGE, version=VERSION)
        self._pause = pause

    def _operation(self, urn: str, timeout: float = 0) -> Operation:
        async def log(severity: Severity, text: str, *, status: bool) -> None:
            await self.log(urn, text, severity=_SEVERITIES[severity], ephemeral=status)

        return Operation(log, self.cancelled, timeout=timeout, pause=self._pause)

    @rpc
    async def Handshake(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """Not implemented, as in the real plugin: the engine continues with Configure."""
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
        _refuse_others(request)
        checked = check(REMOTE_COMMAND, _props(request.news))
        return provider_pb2.CheckResponse(
            inputs=dump_map(checked.inputs), failures=_failures(checked.failures)
        )

    @rpc
    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        _refuse_others(request)
        state, ignored = _props(request.olds), list(request.ignoreChanges)
        news = with_ignored(_props(request.news), state, ignored)
        changes = diff(_props(request.old_inputs), news)
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
        _refuse_others(request)
        props = _props(request.properties)
        problem = decoding_problem(REMOTE_COMMAND, props)
        if problem:
            raise CommandError(f"invalid inputs: {problem}")
        if request.preview:
            outputs = dict.fromkeys(lifecycle.COMPUTED, UNKNOWN)
        else:
            operation = self._operation(request.urn, request.timeout)
            outputs = await lifecycle.create(reveal(props), operation)
        return provider_pb2.CreateResponse(
            id=lifecycle.new_id(name_of(request)), properties=dump_map({**props, **outputs})
        )

    @rpc
    async def Read(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        """Returns the state: there is nothing to read."""
        _refuse_others(request)
        return provider_pb2.ReadResponse(
            id=request.id, properties=request.properties, inputs=request.inputs
        )

    @rpc
    async def Update(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        _refuse_others(request)
        state = _props(request.olds)
        news = with_ignored(_props(request.news), state, list(request.ignoreChanges))
        problem = decoding_problem(REMOTE_COMMAND, news)
        if problem:
            raise CommandError(problem)
        if request.preview:
            outputs = _previewed_update(state, news)
        else:
            operation = self._operation(request.urn, request.timeout)
            outputs = await lifecycle.update(reveal(state), reveal(news), operation)
        return provider_pb2.UpdateResponse(properties=dump_map({**news, **outputs}))

    @rpc
    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        _refuse_others(request)
        state = reveal(_props(request.properties))
        operation = self._operation(request.urn, request.timeout)
        await lifecycle.delete(state, operation)
        return empty_pb2.Empty()

    @rpc
    async def Invoke(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        raise _not_here("function", request.tok)


def _kind(change: Change) -> provider_pb2.PropertyDiff.Kind.ValueType:
    # In the protocol, a kind plus one means the same kind with a replacement.
    return cast(provider_pb2.PropertyDiff.Kind.ValueType, change.kind.value + change.replace)


def _refuse_others(request: Any) -> None:
    if type_of(request) != f"{PACKAGE}:remote:Command":
        raise _not_here("resource", type_of(request))


def _not_here(kind: str, token: str) -> CommandError:
    return CommandError(
        f"the lab's command plugin has no {kind} '{token}', only {PACKAGE}:remote:Command; "
        f"where the real plugin {VERSION} is installed, the lab uses that one",
        grpc.StatusCode.NOT_FOUND,
    )


def _props(struct: struct_pb2.Struct) -> Props:
    props: Props = without_nulls(load_map(struct))
    return props


def _failures(failures: list[Failure]) -> list[provider_pb2.CheckFailure]:
    return [
        provider_pb2.CheckFailure(property=failure.property, reason=failure.reason)
        for failure in failures
    ]


def _previewed_update(state: Props, news: Props) -> Props:
    """The outputs as a preview shows them: all known, unless an input changes.

    As in the real plugin's framework, an added input counts only if it is unknown itself.
    """
    declared = REMOTE_COMMAND.inputs
    changes = any(
        reveal(news.get(name)) is UNKNOWN
        or (name in state and not (name in news and same(state[name], news[name])))
        for name in declared
    )
    outputs = {name: value for name, value in state.items() if name not in declared}
    if changes:
        outputs |= dict.fromkeys(lifecycle.COMPUTED | outputs.keys(), UNKNOWN)
    return outputs
