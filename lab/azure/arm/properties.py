"""Which input properties of a resource type the lab models. All others are refused by name.

A path is dotted and omits list indices: ``securityRules.priority`` is the priority of any rule.
A last element ``*`` stands for a map with names that the user chooses, such as tags.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.azure.arm.errors import not_modelled
from lab.azure.arm.store import JsonObject


@dataclass(frozen=True, kw_only=True)
class Properties:
    """The table of one resource type.

    ``modelled``: the property has Azure's effect, or Azure's checks, here.
    ``only``: modelled with these values only.
    ``inert``: accepted with any value and without effect; the text is the reason.
    """

    modelled: frozenset[str]
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    inert: Mapping[str, str] = field(default_factory=dict)

    def refuse_unmodelled(self, arm_type: str, inputs: JsonObject) -> None:
        """Raises a 501 that names the first property (or value) that the lab does not model."""
        for path, value in _leaves(inputs):
            if path in self.only:
                if value not in self.only[path]:
                    allowed = " or ".join(repr(each) for each in self.only[path])
                    raise not_modelled(f"{arm_type} property {path} = {value!r} (only {allowed})")
            elif not self._known(path):
                raise not_modelled(f"{arm_type} property {path}")

    def _known(self, path: str) -> bool:
        parent = path.rpartition(".")[0]
        return any(known in self.modelled or known in self.inert for known in (path, f"{parent}.*"))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar below ``value`` with its path. Null means that the value was not given."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, path)
    elif value is not None:
        yield path, value


def as_sent(value: Any) -> Any:
    """The value as Azure would get it: without nulls, and with whole numbers as integers.

    The engine's wire format has only floating-point numbers.
    """
    if isinstance(value, dict):
        return {key: as_sent(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [as_sent(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
