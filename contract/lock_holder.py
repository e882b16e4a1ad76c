"""The value of a lock: which node holds it, and since when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class LockHolder:
    holder: str
    since: str
    id: str = ""  # makes the value unique: a write whose answer was lost can be recognised
