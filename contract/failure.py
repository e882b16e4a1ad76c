"""A note of a sidekick: why an instance is not announced."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class FailureNote:
    """`reason` and `log` contain output of the application: make them printable first."""

    node: str = ""
    reason: str = ""
    log: str = ""
