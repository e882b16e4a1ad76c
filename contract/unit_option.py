"""One line of a unit, as fleet's API and a rollout's mark have it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class Option:
    """[section] name=value."""

    section: str
    name: str
    value: str
