"""What a router leaves out, and why: told in its report, by the key that is to blame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class Problem:
    """A key that the router must leave out, or a part of a route."""

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"
