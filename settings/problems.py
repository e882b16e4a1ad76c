"""The messages of a refused configuration: each problem with path, value and what is allowed."""

import json
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from settings.fields import Section

NO_VALUE = object()
# pydantic's messages speak of Python's types; these speak of YAML's.
WORDS = {
    "string_type": "must be text. Use quotes if it looks like a number, a date or a truth value; "
    "with `pulumi config set`, use --type string",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a map of names to values",
    "mapping_type": "must be a map of names to values",
    "model_type": "must be a map of keys to values",
    "model_attributes_type": "must be a map of keys to values",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem. `value` is NO_VALUE if the key is missing or the value is secret."""

    path: str
    value: object = NO_VALUE
    message: str

    def __str__(self) -> str:
        if self.value is NO_VALUE:
            return f"{self.path}: {self.message}"
        shown = json.dumps(self.value, ensure_ascii=False, default=str)
        if len(shown) > 80:
            shown = f"{shown[:77]}..."
        return f"{self.path} = {shown}: {self.message}"


class SettingsError(pulumi.RunError):
    """The configuration is refused. Pulumi prints a RunError without a stack trace."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"the stack's configuration has {count}; nothing was changed:{lines}")


def from_pydantic(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The problems that pydantic found in `model`, in the words of the configuration."""
    found = error.errors()
    wrong_items = {details["loc"][:-1] for details in found}
    return [
        _problem(details, model)
        for details in found
        # pydantic counts only the valid items
        if not (details["type"] == "too_short" and details["loc"] in wrong_items)
    ]


def _problem(details: ErrorDetails, model: type[BaseModel]) -> Problem:
    # a bad key of a map is reported at (…, key, "[key]")
    location = tuple(part for part in details["loc"] if part != "[key]")
    where = path(location)
    match details["type"]:
        case "missing":
            return Problem(path=where, message="is missing")
        case "extra_forbidden" if reason := _impossible(model, location):
            message = reason
        case "extra_forbidden":
            allowed = _keys_of(model, location[:-1])
            return Problem(path=where, message=f"unknown key; allowed are {', '.join(allowed)}")
        case "value_error":
            message = str(details["ctx"]["error"])
        case known if known in WORDS:
            message = WORDS[known]
        case _:
            message = details["msg"].replace("Input should", "must")
            message = message[0].lower() + message[1:]
    if _is_secret(model, location):
        return Problem(path=where, message=message)
    return Problem(path=where, value=details["input"], message=message)


def path(location: tuple[int | str, ...]) -> str:
    """`fleet:services.api.tcp[0].port`"""
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "fleet:" + "".join(steps).removeprefix(".")


def _keys_of(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed at a place of the configuration."""
    found = _type_at(model, location)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise TypeError(f"{location} is not a group of keys, but {found}")
    return sorted(field.alias or name for name, field in found.model_fields.items())


def _impossible(model: type[BaseModel], location: tuple[int | str, ...]) -> str | None:
    """Why a key that a user may expect is not supported; None if the key is just unknown."""
    place = _type_at(model, location[:-1])
    if isinstance(place, type) and issubclass(place, Section):
        return place.impossible.get(str(location[-1]))
    return None


def _is_secret(model: type[BaseModel], location: tuple[int | str, ...]) -> bool:
    """Whether the value at this place is a secret, or contains secrets."""
    return _holds_secrets(_type_at(model, location))


def _holds_secrets(annotation: object) -> bool:
    annotation = bare(annotation)
    if typing.get_origin(annotation) is Mapping:
        return _holds_secrets(typing.get_args(annotation)[1])
    return annotation is SecretStr


def _type_at(annotation: object, location: tuple[int | str, ...]) -> object:
    """Follow a location through models, maps, lists and optional values to the type there."""
    annotation = bare(annotation)
    if not location:
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        field = fields.get(str(location[0]))
        return _type_at(field.annotation, location[1:]) if field else None
    if typing.get_origin(annotation) in (tuple, Mapping):
        of_key, *of_item = typing.get_args(annotation)
        inner = of_key if typing.get_origin(annotation) is tuple else of_item[0]
        return _type_at(inner, location[1:])
    return None


def bare(annotation: object) -> object:
    """A type without `Annotated` and without `| None`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return bare(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return bare(next(one for one in typing.get_args(annotation) if one is not type(None)))
    return annotation
