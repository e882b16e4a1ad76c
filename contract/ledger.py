"""The ledger of a service: its latest rollouts, with their outcomes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True, frozen=True)
class LedgerEntry:
    """One rollout of one release, with everything needed to restore the release."""

    release: str
    image: str
    digest: str
    instances: int
    route: str
    started: str
    finished: str = ""
    outcome: str = "started"  # started, serving, replaced, or failed: <why>
