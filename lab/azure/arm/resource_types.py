"""What the lab needs of a resource type: its id, its names, and what replaces a resource.

Each service's ``resource_types.py`` lists its own types; `lab.azure.resource_types` has them all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from lab.azure.arm.subscription import SUBSCRIPTION_ID

GROUP_ID = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"

# These may hold slashes: a scope is itself an id, and a blob's name may look like a path.
_GREEDY = frozenset({"scope", "blobName"})


class AutoName(Enum):
    """How azure-native names a resource whose name the program leaves out."""

    HEX = "the resource's name and eight hex digits"
    UUID = "a random UUID"
    COPY = "the resource's name as it is (children of another resource)"


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One row of the table. Property paths are dotted, in wire names, without list indices."""

    token: str
    arm_type: str
    id_template: str
    name_property: str
    autoname: AutoName
    api_version: str
    """Empty for blobs, which the data plane makes."""
    replace_on: frozenset[str]
    """A change at or below one of these paths replaces the resource."""
    write_only: frozenset[str] = frozenset()
    """Inputs that Azure never returns; a refresh keeps what the state has."""
    secret_outputs: frozenset[str] = frozenset()
    """Values that are secret in inputs and outputs, whether or not the program says so."""
    standalone_lists: frozenset[str] = frozenset()
    """Lists that resources of their own may fill: absent from the inputs, they are left alone."""
    located: bool = True
    """Takes a location, by default the provider's or the resource group's."""

    @functools.cached_property
    def id_names(self) -> tuple[str, ...]:
        """The placeholders of `id_template`, except for the subscription."""
        names = re.findall(r"{(\w+)}", self.id_template)
        return tuple(name for name in names if name != "subscriptionId")

    def resource_id(self, inputs: Mapping[str, object]) -> str:
        """The ARM id for these inputs. KeyError names an input that is missing."""
        values = {name: str(inputs[name]) for name in self.id_names}
        return self.id_template.format(subscriptionId=SUBSCRIPTION_ID, **values)

    def parse_id(self, resource_id: str) -> dict[str, str] | None:
        """The names in an id of this type; None if the id has another type.

        ARM ids are case-insensitive; the names come back as they were written.
        """
        match = self._id_pattern.fullmatch(resource_id)
        return match.groupdict() if match else None

    @functools.cached_property
    def _id_pattern(self) -> re.Pattern[str]:
        def part(text: str) -> str:
            if not text.startswith("{"):
                return re.escape(text)
            name = text[1:-1]
            return f"(?P<{name}>.+)" if name in _GREEDY else f"(?P<{name}>[^/]+)"

        pieces = re.split(r"({\w+})", self.id_template)
        return re.compile("".join(map(part, pieces)), re.IGNORECASE)


def resource_type(
    token: str,
    arm_type: str,
    id_template: str,
    api_version: str,
    *,
    autoname: AutoName = AutoName.HEX,
    replace_on: tuple[str, ...] = (),
    write_only: tuple[str, ...] = (),
    secret: tuple[str, ...] = (),
    standalone_lists: tuple[str, ...] = (),
    located: bool = True,
) -> ResourceType:
    """A change of a name in the id replaces the resource; so does a change of its location."""
    names = re.findall(r"{(\w+)}", id_template)
    return ResourceType(
        token=token,
        arm_type=arm_type,
        id_template=id_template,
        name_property=names[-1],
        autoname=autoname,
        api_version=api_version,
        replace_on=frozenset(
            {*names, *replace_on, *(["location"] if located else [])} - {"subscriptionId"}
        ),
        write_only=frozenset(write_only),
        secret_outputs=frozenset(secret),
        standalone_lists=frozenset(standalone_lists),
        located=located,
    )
