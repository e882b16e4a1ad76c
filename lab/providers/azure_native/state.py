"""Outputs and inputs as the engine stores them: in previews, with secrets, after a refresh.

As in azure-native (provider/pkg/provider/provider.go: Read): Azure returns its defaults, and a
refresh must not take those for changes. So old outputs are compared with new ones, and only the
differences go into the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.azure.arm.resource_types import ResourceType
from lab.providers.azure_native import schema
from lab.providers.azure_native.checking import API_VERSION
from lab.providers.azure_native.schema import Listing, Record, Shape, Table
from lab.providers.wire import UNKNOWN, Props, Secret, Value, has_secret, reveal

# Some input types have them, although Azure sets them.
_NEVER_INPUTS = frozenset({"etag", "provisioningState", "resourceGuid"})

# An update cannot change these, so dependants get known values in its preview.
_STABLE_OUTPUTS = ("name", "location")


def preview_outputs(resource_type: ResourceType, inputs: Props, old: Props | None = None) -> Props:
    """The outputs that follow from the inputs; all others are UNKNOWN."""
    properties = schema.output_properties(resource_type.token)
    outputs = _preview_record(inputs, properties)
    for name in _STABLE_OUTPUTS:
        if old and name in old and name in properties:
            outputs[name] = old[name]
    return outputs


def stored_outputs(resource_type: ResourceType, inputs: Props, answer: Props) -> Props:
    """The cloud's answer as it is stored: without write-only values, with secrets marked."""
    properties = schema.output_properties(resource_type.token)
    plain = {name: reveal(inputs[name]) for name in inputs if name in properties}
    echoed = {name: value for name, value in plain.items() if not isinstance(value, dict | list)}
    outputs = {**echoed, **answer}
    for path in resource_type.write_only:
        outputs = _without(outputs, path.split("."))
    if resource_type.api_version:
        outputs[API_VERSION] = resource_type.api_version
    marked: Props = _marked(outputs, inputs)
    return marked


def refreshed_inputs(
    resource_type: ResourceType, inputs: Props, old_outputs: Props, new_outputs: Props
) -> Props:
    """The inputs, with the cloud's changes since the outputs were stored."""
    shape = schema.input_shape(resource_type.token)
    before, after = reveal(old_outputs), reveal(new_outputs)
    for path in resource_type.standalone_lists:
        keys = path.split(".")
        if _at(reveal(inputs), keys) is None:
            before, after = _without(before, keys), _without(after, keys)
    carried: Props = _carry_over(inputs, _projected(before, shape), _projected(after, shape))
    return carried


def imported_inputs(resource_type: ResourceType, resource_id: str, outputs: Props) -> Props:
    """The inputs that would create this resource, for `pulumi import` and `.get()`."""
    names = resource_type.parse_id(resource_id) or {}
    projected = _projected(reveal(outputs), schema.input_shape(resource_type.token))
    identity = {name: names[name] for name in resource_type.id_names if name in names}
    version = {API_VERSION: resource_type.api_version} if resource_type.api_version else {}
    return {**projected, **identity, **version}


def _preview_record(inputs: Props, properties: Mapping[str, Shape]) -> Props:
    return {
        name: _preview(inputs[name], shape) if name in inputs else UNKNOWN
        for name, shape in properties.items()
    }


def _preview(value: Value, shape: Shape) -> Value:
    match value, shape:
        case Secret(), _:
            return Secret(_preview(value.value, shape))
        case dict(), Record():
            return _preview_record(value, shape.properties)
        case dict(), Table(item):
            return {name: _preview(element, item) for name, element in value.items()}
        case list(), Listing(item):
            return [_preview(element, item) for element in value]
        case ((dict() | list()), _):
            return UNKNOWN  # Azure may answer in another form; identities go in as a list
        case _, (Record() | Table() | Listing()):
            return UNKNOWN
        case _:
            return value


def _projected(value: Value, shape: Shape) -> Value:
    """The part of an output that an input may contain."""
    match value, shape:
        case dict(), Record():
            properties = shape.properties
            return {
                name: _projected(element, properties[name])
                for name, element in value.items()
                if name in properties and name not in _NEVER_INPUTS and element is not None
            }
        case dict(), Table(item):
            return {name: _projected(element, item) for name, element in value.items()}
        case dict(), Listing():
            return list(value)  # identity.userAssignedIdentities: ids in, a map by id out
        case list(), Listing(item):
            return [_projected(element, item) for element in value]
        case _:
            return value


def _carry_over(value: Value, before: Value, after: Value) -> Value:
    """The value, with the differences between before and after applied to it."""
    if before == after:
        return value
    if isinstance(value, Secret):
        return Secret(_carry_over(value.value, before, after))
    match value, before, after:
        case dict(), dict(), dict():
            return _carry_over_members(value, before, after)
        case list(), list(), list():
            return [
                _carry_over(value[index], before[index], element)
                if index < len(value) and index < len(before)
                else element
                for index, element in enumerate(after)
            ]
        case _:
            return after


def _carry_over_members(value: Props, before: Props, after: Props) -> Props:
    result = {name: old for name, old in value.items() if name in after or name not in before}
    for name, new in after.items():
        if name not in before:
            result[name] = new
        elif before[name] != new:
            result[name] = _carry_over(value[name], before[name], new) if name in value else new
    return result


def _marked(output: Value, source: Value) -> Value:
    """The output, with secrets where the corresponding input has them."""
    if isinstance(source, Secret):
        return Secret(reveal(output))
    match output, source:
        case dict(), dict():
            return {
                name: _marked(element, source[name]) if name in source else element
                for name, element in output.items()
            }
        case list(), list() if len(output) == len(source):
            return [_marked(*pair) for pair in zip(output, source, strict=True)]
        case ((list() | dict()), _) if has_secret(source):
            return Secret(output)  # in another form: hide all of it
        case _:
            return output


def _at(value: Value, keys: list[str]) -> Value:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _without(value: Value, keys: list[str]) -> Value:
    """The value without the property at the path."""
    if not isinstance(value, dict) or keys[0] not in value:
        return value
    rest = {name: element for name, element in value.items() if name != keys[0]}
    return rest if len(keys) == 1 else {**rest, keys[0]: _without(value[keys[0]], keys[1:])}
