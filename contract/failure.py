"""A note of a sidekick: why an instance is not announced."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class FailureNote:
    """`reason` and `log` hold what the application said: make them printable first."""

    node: str = ""
    reason: str = ""
    log: str = ""
