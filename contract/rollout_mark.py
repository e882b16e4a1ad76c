"""The mark of a change that has begun and not ended, as /rollouts/<service> holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from contract.ledger import LedgerEntry

Verb = Literal["apply", "remove"]


@dataclass(kw_only=True, frozen=True)
class Option:
    """One line of a unit, `name=value` below `[section]`, as fleet's API has it, too."""

    section: str
    name: str
    value: str


@dataclass(kw_only=True, frozen=True)
class Before:
    """The last finished release, with the lines of its units."""

    entry: LedgerEntry
    app: tuple[Option, ...] = ()
    announce: tuple[Option, ...] = ()


@dataclass(kw_only=True, frozen=True)
class Mark:
    """The state that an undo restores. None: the service did not exist."""

    verb: Verb
    since: str
    id: str  # makes each mark's text unique
    before: Before | None
